"""What is wrong with the `LossInputs` that a task makes, in one line; from their shapes alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.abstract import is_array, is_float, is_number, written
from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.core.types import LossInputs


def of_branches(what: str, given: Any, expected: Sequence[str]) -> dict[str, Any]:
    """What a function gives for each branch.

    Args:
      what: the function, for the message.
      given: what it gave.
      expected: branches that have to be in it.

    Raises:
      UserError: where it is no dict, or lacks a branch.
    """
    if not isinstance(given, Mapping):
        raise UserError(f"{what} must give {{branch: ...}} for the branches {', '.join(expected)}, not {written(given)}")
    for branch in expected:
        if branch not in given:
            near = did_you_mean(branch, given)
            raise UserError(f"{what} must give something for the branch '{branch}', and has {sorted(map(str, given))}.{near}")
    return dict(given)


def check_loss_inputs(what: str, inputs: Any, names: Sequence[str]) -> None:
    """Checks the inputs of one branch.

    Args:
      what: gives them, for the message.
      inputs: its arrays are shapes.
      names: of the arrays that losses read.

    Raises:
      UserError: no `LossInputs`, an array that is not there or no float `[N, H, W, C]`, a mask or weights of another shape.
    """
    if not isinstance(inputs, LossInputs):
        raise UserError(f"{what}: LossInputs were expected, {written(inputs)} came; LossInputs.create(arrays) makes them")
    arrays = inputs.arrays
    if not isinstance(arrays, Mapping) or not arrays:
        raise UserError(f"{what}: the arrays of LossInputs must be {{name: float32[N, H, W, C]}}, not {written(arrays)}")
    for name in names:
        if name not in arrays:
            raise UserError(f"{what} lacks the array '{name}'; it makes {sorted(map(str, arrays))}.{did_you_mean(name, arrays)}")
    names = list(names) or list(arrays)
    places = {name: _places(what, arrays[name], name) for name in names}
    positions, channels = places[names[0]], max(arrays[name].shape[-1] for name in names)
    for name in names:
        if places[name] != positions or arrays[name].shape[-1] not in (1, channels):
            expected = f"float32[{', '.join(map(str, (*positions, channels)))}]"
            raise UserError(f"{what}: {expected}, like '{names[0]}', was expected as '{name}', {written(arrays[name])} came")
    of_positions = f"[{', '.join(map(str, (*positions, 1)))}]"
    for name, kind, is_right in (("mask", "bool", lambda one: not is_number(one)), ("weights", "float32", is_float)):
        one = getattr(inputs, name)
        if not is_array(one) or not is_right(one) or one.shape != (*positions, 1):
            raise UserError(f"{what}: {kind}{of_positions} was expected as the {name}, {written(one)} came")


def check_scalar(what: str, value: Any) -> None:
    """Checks that it is one real number.

    Raises:
      UserError: says what it is.
    """
    is_scalar = isinstance(value, int | float) or (is_array(value) and not value.shape)
    if not is_scalar or (is_array(value) and not (is_number(value) or value.dtype == bool)):
        raise UserError(f"{what} must be a scalar, float32[], and is {written(value)}")


def _places(what: str, array: Any, name: str) -> tuple[int, ...]:
    """`N, H, W` of an array."""
    if not is_array(array) or len(array.shape) != 4:
        hint = "; without space H = W = 1, as array[:, None, None, :] has it" if len(getattr(array, "shape", ())) == 2 else ""
        raise UserError(f"{what}: float32[N, H, W, C] was expected as '{name}', {written(array)} came{hint}")
    if not is_float(array):
        raise UserError(f"{what}: floats were expected as '{name}', {written(array)} came")
    return tuple(array.shape[:3])
