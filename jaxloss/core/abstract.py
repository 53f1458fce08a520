"""Abstract evaluation of functions that somebody else wrote: shapes and dtypes of what they give, mistakes in one line."""

import contextlib
import numbers
import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.types import PyTree

_LONGEST_MESSAGE = 300
_NOT_OF_THE_USER = (
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
    "<frozen",
)


def outputs(what: str, function: Callable[..., PyTree], *arguments: PyTree) -> PyTree:
    """What a traceable function gives, with shapes (`jax.ShapeDtypeStruct`) in place of arrays; nothing is computed.

    A function that is compiled for the same shapes later on is not traced again for it.

    Args:
      what: the function, for the message.
      function: pure.
      arguments: pytrees of arrays or shapes.

    Returns:
      Its output; leaves that are no arrays, such as strings, are left as they are.

    Raises:
      UserError: one that it raises itself, or one that says what else it raises, and where.
    """
    with contextlib.suppress(Exception):
        return jax.eval_shape(function, *arguments)
    # It raises something, or gives something else than arrays: that can only be seen from inside.
    given = []
    with named_errors(what):
        jax.eval_shape(lambda *arguments: given.append(function(*arguments)), *arguments)
    return jax.tree.map(lambda leaf: shapes(leaf) if is_array(leaf) else leaf, given[0])


@contextlib.contextmanager
def named_errors(what: str) -> Iterator[None]:
    """Where code of somebody else is at work: whatever it raises becomes one line, an exit of Python too.

    Raises:
      UserError: names `what`, the exception, and the file and line of the user's own code that it comes from.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{what} raises {_in_one_line(error)}") from error


def shapes(arrays: PyTree) -> PyTree:
    """Shapes and dtypes as JAX will see them: NumPy's float64 is float32 there."""
    return jax.eval_shape(lambda: arrays)


def is_array(value: Any) -> bool:
    """Whether it has a shape and a dtype of numbers, truth values or JAX keys."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or not hasattr(value, "shape"):
        return False
    return jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key) or np.issubdtype(dtype, np.bool_) or is_number(value)


def is_number(value: Any) -> bool:
    """Whether it is an array of real numbers."""
    dtype = getattr(value, "dtype", None)
    return dtype is not None and any(jax.dtypes.issubdtype(dtype, kind) for kind in (np.integer, np.floating))


def is_float(value: Any) -> bool:
    """Whether it is an array of floating-point numbers, of any precision."""
    dtype = getattr(value, "dtype", None)
    return dtype is not None and jax.dtypes.issubdtype(dtype, np.floating)


def written(value: Any) -> str:
    """`float32[64, 10]` for an array, `{'a': float32[]}` for a dict of one, the name of its type for anything else."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype}[{', '.join(map(str, value.shape))}]"
    if isinstance(value, Mapping) and len(value) <= 8:
        return f"{{{', '.join(f'{name!r}: {written(one)}' for name, one in value.items())}}}"
    if isinstance(value, tuple) and len(value) <= 4:
        return f"({', '.join(map(written, value))})"
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def numbers_by_name(what: str, found: Any) -> dict[str, float]:
    """Numbers that code of somebody else gave, by their names.

    Args:
      what: gave them, for the message.
      found: a mapping of numbers, or of arrays that are one.

    Raises:
      UserError: it is something else.
    """
    if not isinstance(found, Mapping):
        raise UserError(f"{what} must give {{name: number}}, and gives {written(found)}")
    for name, value in found.items():
        if not (isinstance(value, numbers.Real) or (is_number(value) and value.size == 1)):
            raise UserError(f"{what} must give {{name: number}}, and '{name}' is {written(value)}")
    return {name: float(value) for name, value in found.items()}


def differences(expected: PyTree, came: PyTree, looked_at: Callable[[Any], Any] = written) -> Iterator[tuple[str, str, str]]:
    """Where two pytrees differ: path, what was expected there and what came; `looked_at` gives what of a leaf has to be equal."""
    sides = [dict(jax.tree_util.tree_leaves_with_path(one)) for one in (expected, came)]
    for path in dict.fromkeys([*sides[0], *sides[1]]):
        leaves = [[side[path]] if path in side else [] for side in sides]
        if list(map(looked_at, leaves[0])) != list(map(looked_at, leaves[1])):
            yield jax.tree_util.keystr(path), *(written(leaf[0]) if leaf else "nothing" for leaf in leaves)


def _in_one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    message = lines[0] if lines else ""
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]} ..."
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if not frame.f_code.co_filename.startswith(_NOT_OF_THE_USER):
            place = f" ({_short(frame.f_code.co_filename)}, line {line})"
    return f"{type(error).__name__}{': ' * bool(message)}{message}{place}"


def _short(path: str) -> str:
    """Relative to the working directory where it lies in it."""
    return os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
