"""What stands around each position of a label map: neighbours of another class, and marks in a square window."""

import functools
import itertools

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array


@jax.jit
def differs_from_neighbour(labels: Array, counted: Array | None = None) -> Array:
    """Whether one of the eight neighbours of a position has another label; beyond the border there are none.

    Eight comparisons take a third of the time of the maximum and the minimum of the window.

    Args:
      labels: int `[N, H, W]`.
      counted: bool `[N, H, W]`, False where a position is nobody's neighbour; None for all True.

    Returns:
      bool `[N, H, W]`.
    """
    height, width = labels.shape[1:]

    def views(array: Array) -> list[Array]:
        # A copy of the border shows only what is in the window anyway.
        bordered = jnp.pad(array, ((0, 0), (1, 1), (1, 1)), mode="edge")
        return [bordered[:, row : row + height, column : column + width] for row, column in itertools.product(range(3), repeat=2)]

    found = [view != labels for view in views(labels)]
    if counted is not None:
        found = [one & view for one, view in zip(found, views(counted), strict=True)]
    return _any(found)


@functools.partial(jax.jit, static_argnames="radius")
def any_within(marks: Array, radius: int) -> Array:
    """Marks of the square window of `2 radius + 1` positions around each one, joined by a bitwise or.

    Each doubling of the window is one operation, so that the cost grows with the logarithm of the radius; an integer carries as
    many marks as it has bits at the price of one.

    Args:
      marks: bool or unsigned integers `[N, H, W, ...]`.
      radius: of the window (Chebyshev distance), from 0; what lies beyond the border is unmarked.

    Returns:
      As `marks`.
    """
    for axis in (1, 2):
        border = [(radius, radius) if one == axis else (0, 0) for one in range(marks.ndim)]
        marks, width = jnp.pad(marks, border), 1
        while width < 2 * radius + 1:
            step = min(width, 2 * radius + 1 - width)
            size = marks.shape[axis]
            marks = lax.slice_in_dim(marks, 0, size - step, axis=axis) | lax.slice_in_dim(marks, step, size, axis=axis)
            width += step
    return marks


def _any(flags: list[Array]) -> Array:
    found = flags[0]
    for one in flags[1:]:
        found = found | one
    return found
