"""Paths of predictions on which the properties of a loss are looked at: away from what is right, or towards it (Section 3.2.2).

A point of a path is one number. For classification that is the score of one of two classes, the other at 0; for regression the
distance of a box from the true one, in sizes of that box: it moves to the right, down or both ways, it grows, it shrinks.
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array, LossInputs
from jaxloss.systems.cse_autoloss.settings import CLASSIFICATION, VerificationSettings, kind_of

MOVES = ("right", "down", "both ways", "growing", "shrinking")


@dataclasses.dataclass(frozen=True)
class Paths:
    """Paths of one branch; `R` of them, with `T` points each.

    Attributes:
      points: float64 `[R, T]`, rising along each path.
      signs: `[R]`, 1 where the loss is to rise along the path, -1 where it is to fall.
      inputs: `(points [R, T]) -> LossInputs` with arrays `[R T, 1, 1, C]`; differentiable, traceable.
    """

    points: np.ndarray
    signs: np.ndarray
    inputs: Callable[[Array], LossInputs]


def paths_of(branch: str, settings: VerificationSettings) -> Paths:
    """The paths of a branch, by its name."""
    return _scores(settings) if kind_of(branch) == CLASSIFICATION else _boxes(settings)


def _scores(settings: VerificationSettings) -> Paths:
    """For every overlap, first the score of the right class, then that of the wrong one."""
    overlaps = np.repeat(settings.overlaps, 2)
    rows, points = len(overlaps), np.linspace(-settings.score_range, settings.score_range, settings.num_points)
    is_right = np.arange(rows) % 2 == 0

    def inputs(points: Array) -> LossInputs:
        moved = is_right[:, None]
        logits = jnp.stack([jnp.where(moved, points, 0), jnp.where(moved, 0, points)], axis=-1)
        target = jnp.broadcast_to(jnp.array([1, 0], points.dtype), logits.shape)
        overlap = jnp.broadcast_to(jnp.asarray(overlaps, points.dtype)[:, None, None], (*points.shape, 1))
        return _flat({"logits": logits, "target": target, "overlap": overlap})

    return Paths(np.tile(points, (rows, 1)), np.where(is_right, -1, 1), inputs)


def _boxes(settings: VerificationSettings) -> Paths:
    points = np.linspace(0, settings.farthest, settings.num_points)
    sides = np.array(settings.box_size)
    # By how many of its sides the box moves along x and y for each step of one, and to which power its sides change.
    steps = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    powers = np.array([0.0, 0.0, 0.0, 1.0, -1.0])

    def inputs(points: Array) -> LossInputs:
        # Corners of the true box: minus and plus half of its sides.
        centre = points[..., None] * steps[:, None] * sides
        half = sides / 2 * (1 + points[..., None]) ** powers[:, None, None]
        low, high = centre - half, centre + half
        shared = jnp.maximum(jnp.minimum(high, sides / 2) - jnp.maximum(low, -sides / 2), 0)
        around = jnp.maximum(high, sides / 2) - jnp.minimum(low, -sides / 2)
        intersection, enclosing, area = (jnp.prod(one, axis=-1, keepdims=True) for one in (shared, around, high - low))
        union = area + np.prod(sides) - intersection
        return _flat({"intersection": intersection, "union": union, "enclosing": enclosing})

    return Paths(np.tile(points, (len(MOVES), 1)), np.ones(len(MOVES)), inputs)


def _flat(arrays: dict[str, Array]) -> LossInputs:
    """`[R, T, C]` to `[R T, 1, 1, C]`."""
    return LossInputs.create({name: array.reshape(-1, 1, 1, array.shape[-1]) for name, array in arrays.items()})
