"""What values the inputs of a loss may take: a simplified form is the loss there, and need not be elsewhere.

Imports neither SymPy nor JAX.
"""

import math
from collections.abc import Iterable, Mapping

ValueRange = tuple[float, float]
REAL: ValueRange = (-math.inf, math.inf)

# Data lie on the ends of their range, as one-hot targets do. No gradient is taken with respect to them.
TARGET = "target"

# Open ends stand a little inside, so that a strict inequality needs no bookkeeping of its own.
_TINY, _RELATIVE = 1e-30, 1e-9


def complete(names: Iterable[str], ranges: Mapping[str, Iterable[float]]) -> dict[str, ValueRange]:
    """Each name -> (low, high), all real numbers where `ranges` does not say it."""
    return {name: tuple(map(float, ranges.get(name, REAL))) for name in names}


def assumptions(name: str, span: ValueRange) -> dict[str, bool]:
    """What SymPy may know of an input."""
    low, high = bounds(name, span)
    if low >= 0:
        return {"positive": True} if low > 0 else {"nonnegative": True}
    if high <= 0:
        return {"negative": True} if high < 0 else {"nonpositive": True}
    return {"real": True}


def bounds(name: str, span: ValueRange) -> ValueRange:
    """The least and the greatest value."""
    low, high = span
    if name == TARGET:
        return low, high
    return low + (_RELATIVE * abs(low) or _TINY), high - (_RELATIVE * abs(high) or _TINY)


def in_words(ranges: Mapping[str, ValueRange]) -> str:
    """For example `prediction in (0, 1), target in [0, 1]`, or `any real prediction`."""
    return ", ".join(_in_words(name, span) for name, span in ranges.items())


def _in_words(name: str, span: ValueRange) -> str:
    if span == REAL:
        return f"any real {name}"
    low, high = span
    closed = name == TARGET
    left = "[" if closed and math.isfinite(low) else "("
    right = "]" if closed and math.isfinite(high) else ")"
    return f"{name} in {left}{low:g}, {high:g}{right}"
