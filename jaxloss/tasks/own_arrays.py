"""A user's arrays as the tasks keep them: of NumPy, JAX or pandas, and what is wrong with them in one line."""

from typing import Any

import numpy as np

from jaxloss.core.errors import UserError

Arrays = tuple[np.ndarray, np.ndarray]


# Of a feature; grey levels and pixels up to 255 have up to half of them.
_WIDE = 30.0


def own_arrays(what: str, inputs: Any, targets: Any) -> Arrays:
    """Inputs and targets, one target for each input.

    Args:
      what: they are, for messages.
      inputs: numbers or truth values `[M, D]`, `[M, H, W]` or `[M, H, W, channels]`.
      targets: `[M]` or `[M, K]`.

    Returns:
      Inputs as float32, but images of uint8 as they are; targets of the type that their values have.

    Raises:
      UserError: for other shapes and types, for values that are missing, not finite or beyond float32, and other lengths.
    """
    inputs, targets = _array(what, inputs), _array(f"the targets of {what}", targets)
    if inputs.ndim not in (2, 3, 4):
        hint = ", a single feature [M] as inputs[:, None]" if inputs.ndim == 1 else ""
        raise UserError(
            f"{what} must be an array [M, D], [M, H, W] or [M, H, W, channels]{hint}, not of shape {list(inputs.shape)}"
        )
    if not targets.ndim or len(inputs) != len(targets) or not len(inputs):
        raise UserError(f"{what}: {len(inputs)} inputs and targets of shape {list(targets.shape)}; one target for each is wanted")
    is_image = inputs.dtype == np.uint8 and inputs.ndim > 2
    return inputs if is_image else float32(what, inputs), _with_nothing_missing(what, targets)


def unlike_scales(inputs: np.ndarray) -> tuple[str, ...]:
    """A line about features `[M, D]` that are far from deviations of 1, from which few networks learn; none for images."""
    if inputs.ndim != 2:
        return ()
    deviations = inputs.std(axis=0)
    widest = int(deviations.argmax())
    if deviations[widest] < _WIDE:
        return ()
    return (
        f"column {widest} of the inputs has a deviation of {deviations[widest]:.3g}, and the network gets features as they are: "
        "standardise them, unless the network begins with a normalisation",
    )


def float32(what: str, array: np.ndarray) -> np.ndarray:
    """Numbers or truth values as finite float32.

    Raises:
      UserError: they are something else, not finite, or beyond what float32 holds.
    """
    if array.dtype.kind not in "fiub":
        raise UserError(f"{what} must be numbers, not {_seen(array)}")
    # What is too large becomes infinite, and is counted below.
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32)
    if len(broken := np.flatnonzero(~np.isfinite(numbers.reshape(len(numbers), -1)).all(axis=1))):
        raise UserError(
            f"{what}: {len(broken)} of {len(numbers)} examples hold NaN, infinity or more than float32 does, the first is number "
            f"{broken[0]}"
        )
    return numbers


def numbered_classes(parts: list[Arrays]) -> tuple[list[Arrays], tuple[str, ...] | None]:
    """Classes as integers from 0, and their names where they are something else.

    Args:
      parts: those of training, and perhaps of the test; targets are integers, also as floats, text or truth values.

    Raises:
      UserError: for targets of another shape, a class that the test alone has, integers that leave a class out, and a single
        class.
    """
    labels = [_one_for_each(targets) for _, targets in parts]
    if all((one.dtype.kind == "f" and (one == one.round()).all()) or one.dtype.kind in "iu" for one in labels):
        labels, names = [one.astype(np.int64) for one in labels], None
        classes = np.unique(labels[0])
        if not np.array_equal(classes, np.arange(len(classes))) and len(classes) > 1:
            raise UserError(
                f"targets are {', '.join(map(str, classes[:8]))}{', ...' * (len(classes) > 8)}: number the classes from 0 and "
                "leave none out, as np.unique(targets, return_inverse=True)[1] does; or say kind='regression'"
            )
    else:
        labels = [one.astype(str) if one.dtype.kind != "S" else np.char.decode(one, "utf-8", "replace") for one in labels]
        classes = np.unique(labels[0])
        names = tuple(map(str, classes))
    if strange := sorted({*labels[-1].tolist()} - {*classes.tolist()}):
        raise UserError(
            f"the class '{strange[0]}' of the test targets is not among those of training: {', '.join(map(str, classes))}"
        )
    if len(classes) < 2:
        raise UserError("the targets are of a single class: there is nothing to tell apart")
    return [(inputs, np.searchsorted(classes, one)) for (inputs, _), one in zip(parts, labels, strict=True)], names


def _array(what: str, given: Any) -> np.ndarray:
    try:
        array = np.asarray(given)
    except ValueError:
        raise UserError(f"{what} must be an array, in which all examples are of one shape") from None
    if array.dtype.kind == "V" and array.dtype.names is None:
        # Floating-point types of JAX that NumPy does not know, such as bfloat16.
        return array.astype(np.float32)
    # Of columns of several kinds, or with values that may be missing, pandas makes an array of objects.
    return np.asarray(array.tolist()) if array.dtype == object else array


def _with_nothing_missing(what: str, targets: np.ndarray) -> np.ndarray:
    if targets.dtype.kind not in "fO":
        return targets
    flat = targets.reshape(len(targets), -1)
    missing = np.array([not all(map(_is_there, row)) for row in flat.tolist()])
    if missing.any():
        raise UserError(
            f"{what}: {missing.sum()} of {len(flat)} targets are missing or not finite, the first is number {missing.argmax()}"
        )
    return targets


def _is_there(value: Any) -> bool:
    try:
        return value is not None and bool(value == value) and abs(value) != float("inf")
    except TypeError:
        # Text has no size; pandas' NA has no truth.
        return isinstance(value, str | bytes)


def _one_for_each(targets: np.ndarray) -> np.ndarray:
    if targets.size != len(targets):
        hint = "; of one-hot rows give targets.argmax(axis=1)" if targets.ndim == 2 else ""
        raise UserError(f"targets must be one class for each example, [M], not of shape {list(targets.shape)}{hint}")
    return targets.reshape(-1)


def _seen(array: np.ndarray) -> str:
    """What an array holds in place of numbers."""
    if array.dtype.kind not in "OU":
        return str(array.dtype)
    for one in array.reshape(-1).tolist():
        try:
            float(one)
        except (TypeError, ValueError):
            return repr(one)[:40]
    return "text"
