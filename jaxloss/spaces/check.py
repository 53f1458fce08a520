"""What is wrong with a search space, in one line, before anything is searched: by a few candidates and their shapes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxloss.core.abstract import differences, is_array, is_float, named_errors, outputs, shapes, written
from jaxloss.core.errors import UserError
from jaxloss.core.types import LossInputs, PyTree
from jaxloss.spaces.base import Candidate, Space
from jaxloss.spaces.check_capabilities import check_capabilities

# Drawn at random, with a generator of their own.
_NUM_CANDIDATES = 4


def check_space(space: Space, inputs: Mapping[str, LossInputs]) -> None:
    """Draws a few candidates, writes and reads them, and evaluates their loss abstractly.

    Args:
      space: to be checked.
      inputs: branch -> what a task makes for it, as shapes.

    Raises:
      UserError: one line for the first mistake, with what was expected and what came.
    """
    # A form that reads what it does not name is found here, and not where another task makes less.
    inputs = {branch.name: _only(branch.form.inputs, inputs[branch.name]) for branch in space.branches}
    generator = np.random.default_rng(0)
    candidates = [_candidate(space, generator) for _ in range(_NUM_CANDIDATES)]
    _check_draws(space, candidates[0])
    encoded = [_encoded(space, candidate) for candidate in candidates]
    for other in encoded[1:]:
        for path, expected, came in differences(encoded[0], other):
            raise UserError(
                f"encode of the space {space.name} must give arrays of the same shapes for all candidates, but {path} is "
                f"{expected} for one and {came} for another"
            )
    for candidate, one in zip(candidates, encoded, strict=True):
        _check_written(space, candidate, one)
    # What is wrong with a sum is said best by its terms.
    _check_values(space, shapes(encoded[0]), inputs)
    _check_loss(space, shapes(encoded[0]), inputs)
    check_capabilities(space, candidates[0])


def _only(names: Sequence[str], inputs: LossInputs) -> LossInputs:
    return dataclasses.replace(inputs, arrays={name: inputs.arrays[name] for name in names})


def _candidate(space: Space, generator: np.random.Generator) -> Candidate:
    """A random candidate that can be written and read."""
    candidate = _drawn(space, generator)
    with named_errors(f"write of the space {space.name}"):
        text = space.write(candidate)
    if not isinstance(text, str):
        raise UserError(f"write of the space {space.name} must give a text, not {written(text)}")
    try:
        with named_errors(f"parse of the space {space.name}"):
            again = space.write(space.parse(text))
    except UserError as error:
        raise UserError(f"the space {space.name} must read what it writes, but of '{text}' it says: {error}") from error
    if again != text:
        raise UserError(f"the space {space.name} must read what it writes: '{text}' is '{again}' when it is read and written")
    return candidate


def _drawn(space: Space, generator: np.random.Generator) -> Candidate:
    with named_errors(f"sample of the space {space.name}"):
        return space.draw(generator)


def _check_draws(space: Space, first: Candidate) -> None:
    """A search goes on from its seeds where it was stopped, so that a draw may depend on nothing but the generator."""
    again = _drawn(space, np.random.default_rng(0))
    if space.write(first) != space.write(again):
        raise UserError(
            f"sample of the space {space.name} must draw from the generator that it is given alone, but two generators of one "
            f"seed gave '{space.write(first)}' and '{space.write(again)}'"
        )


def _check_written(space: Space, candidate: Candidate, encoded: PyTree) -> None:
    """What is trained is read from the text that the archive holds: it has to be the very loss that the filters judged."""
    text = space.write(candidate)
    again = dict(jax.tree_util.tree_leaves_with_path(_encoded(space, space.parse(text))))
    for path, leaf in jax.tree_util.tree_leaves_with_path(encoded):
        if path not in again or not np.array_equal(np.asarray(leaf), np.asarray(again[path])):
            raise UserError(
                f"the space {space.name} must read the loss that it writes, but '{text}' is read with other numbers in "
                f"{jax.tree_util.keystr(path)}: write them with all their digits"
            )


def _encoded(space: Space, candidate: Candidate) -> PyTree:
    what = f"encode of the space {space.name}"
    with named_errors(what):
        encoded = space.encode(candidate)
    leaves = jax.tree_util.tree_leaves_with_path(encoded)
    for path, leaf in leaves:
        if not is_array(leaf):
            raise UserError(f"{what} must give arrays, but its {jax.tree_util.keystr(path)} is {written(leaf)}")
    return encoded


def _check_loss(space: Space, encoded: PyTree, inputs: Mapping[str, LossInputs]) -> None:
    what = f"loss of the space {space.name}"
    loss = outputs(what, space.loss, encoded, inputs)
    if not is_float(loss) or loss.shape:
        raise UserError(f"{what} must give a scalar, float32[], and gives {written(loss)}")


def _check_values(space: Space, encoded: PyTree, inputs: Mapping[str, LossInputs]) -> None:
    """The unreduced losses."""
    what = f"apply of the space {space.name}"
    values: Any = outputs(what, space.apply, encoded, inputs)
    for branch in space.branches:
        if not isinstance(values, Mapping) or branch.name not in values:
            raise UserError(f"{what} must give {{branch: values}} with the branch '{branch.name}', and gives {written(values)}")
        positions, value = inputs[branch.name].mask.shape[:3], values[branch.name]
        channels = {1, *(array.shape[-1] for array in inputs[branch.name].arrays.values())}
        if not is_float(value) or value.shape[:-1] != positions or value.shape[-1] not in channels:
            expected = " or ".join(f"float32[{', '.join(map(str, (*positions, last)))}]" for last in sorted(channels))
            raise UserError(f"{what} must give {expected} for the branch '{branch.name}', and gives {written(value)}")
