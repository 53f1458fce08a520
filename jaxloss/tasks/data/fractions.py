"""The shares of a data set that its splits have."""

from collections.abc import Sequence
from typing import Any

from jaxloss.core.errors import UserError


def checked_fractions(given: Sequence[Any]) -> tuple[float, float, float]:
    """Of train, search_eval and test, as numbers.

    Raises:
      UserError: they are not three numbers from 0 on that sum to 1.
    """
    try:
        fractions = tuple(map(float, given))
    except (TypeError, ValueError):
        fractions = ()
    if len(fractions) != 3 or not (min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-6):
        raise UserError(f"fractions must be three numbers (train, search_eval, test) that sum to 1, not {given!r}")
    return fractions
