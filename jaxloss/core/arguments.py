"""What a function for people was given, and what it takes: a mistake in one line, as it is called."""

import math
import numbers
import os
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from jaxloss.core.abstract import is_number, written
from jaxloss.core.errors import UserError, unknown

_SHOWN = (str, int, float, tuple, list, dict, type(None))


def expect(argument: str, given: Any, kind: type | tuple[type, ...], wanted: str) -> None:
    """Refuses an argument of another type.

    Args:
      argument: its name.
      given: its value.
      kind: what it has to be an instance of.
      wanted: the same for people, such as `the path of a directory`.

    Raises:
      UserError: names all three.
    """
    if not isinstance(given, kind):
        raise UserError(f"{argument} must be {wanted}, not {_shown(given)}")


def expect_path(argument: str, given: Any, of: str) -> None:
    """Refuses what is no path; `of` says what it is the path of."""
    expect(argument, given, (str, os.PathLike), f"the path of {of}")


def expect_whole_number(argument: str, given: Any) -> None:
    """Refuses what is no whole number."""
    if isinstance(given, bool) or not isinstance(given, numbers.Integral):
        raise UserError(f"{argument} must be a whole number, not {_shown(given)}")


def _expect_finite(argument: str, given: Any) -> None:
    """Refuses what is no finite number; a scalar that is traced by JAX is taken as one."""
    is_real = isinstance(given, numbers.Real) and not isinstance(given, bool)
    is_scalar = is_number(given) and given.shape == ()
    if not (is_real or is_scalar) or not (isinstance(given, jax.core.Tracer) or math.isfinite(given)):
        raise UserError(f"{argument} must be a finite number, not {_shown(given)}")


def expect_between(argument: str, given: Any, above: float, below: float) -> None:
    """Refuses what is no finite number between two others, ends excluded; of a traced scalar nothing is known.

    Args:
      argument: its name.
      given: its value.
      above: what it has to be greater than; minus infinity where it may be any.
      below: what it has to be smaller than; infinity where it may be any.

    Raises:
      UserError: names what it has to be.
    """
    _expect_finite(argument, given)
    if isinstance(given, jax.core.Tracer) or above < given < below:
        return
    wanted = [f"{word} {end:g}" for word, end in (("above", above), ("below", below)) if math.isfinite(end)]
    raise UserError(f"{argument} must be {' and '.join(wanted)}, not {_shown(given)}")


def expect_ranges(argument: str, given: Any, names: Iterable[str]) -> None:
    """Refuses what is no mapping name -> (low, high), low below high, either of them infinite if need be.

    Args:
      argument: its name.
      given: its value.
      names: that there may be ranges of.

    Raises:
      UserError: names what is wrong.
    """
    expect(argument, given, Mapping, "a mapping input -> (low, high)")
    for name, span in given.items():
        if name not in names:
            raise unknown(f"input in {argument}", name, names)
        ends = tuple(span) if isinstance(span, tuple | list) else ()
        # Numbers that compare as False are out of order, or not numbers at all.
        if len(ends) != 2 or not all(isinstance(end, numbers.Real) for end in ends) or not ends[0] < ends[1]:
            raise UserError(f"{argument} of '{name}' must be (low, high), two numbers, low below high, not {_shown(span)}")


def _shown(given: Any) -> str:
    """A short value as it is written in Python, of any other its type, in one line."""
    return " ".join(reprlib.repr(given).split()) if isinstance(given, _SHOWN) else written(given)
