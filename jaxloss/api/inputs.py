"""What a ready loss is given: a user's arrays as the inputs of a branch, and what is wrong with them in one line."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from jaxloss.core.abstract import written
from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, LossInputs


def loss_inputs(given: Mapping[str, Array], names: Sequence[str], mask: Array | None, weights: Array | None) -> LossInputs:
    """The inputs of one branch.

    Args:
      given: name -> array, `[N, C]` or `[N, H, W, C]`, all with the same N, or N, H and W.
      names: that the branch reads.
      mask: False on void positions, `[N]` or `[N, H, W]`, with or without a last axis of 1.
      weights: non-negative, of the same shape.

    Raises:
      UserError: names an array that is missing, unknown, or of another rank or shape.
    """
    missing, other = [name for name in names if name not in given], sorted(given.keys() - set(names))
    if missing or other:
        wrong = f"'{missing[0]}' is missing" if missing else f"there is no '{other[0]}'"
        raise UserError(f"the loss takes {', '.join(names)}: {wrong}")
    arrays = {name: _array(name, given[name]) for name in names}
    first = names[0]
    for name, array in arrays.items():
        if array.ndim not in (2, 4):
            raise UserError(f"'{name}' must be an array [N, C] or [N, H, W, C], not of shape {list(array.shape)}")
        if array.shape[:-1] != arrays[first].shape[:-1]:
            shapes = f"'{name}' is {list(array.shape)}, '{first}' is {list(arrays[first].shape)}"
            raise UserError(f"the arrays of a loss have the same N, or N, H and W: {shapes}")
    grid = next(iter(arrays.values())).shape[:-1]
    positions = (*grid, 1) if len(grid) == 3 else (*grid, 1, 1, 1)
    arrays = {name: array if array.ndim == 4 else array[:, None, None] for name, array in arrays.items()}
    return LossInputs.create(
        arrays,
        None if mask is None else _at_positions("mask", mask, positions).astype(bool),
        None if weights is None else _at_positions("weights", weights, positions),
    )


def _array(name: str, given: Any) -> Array:
    try:
        return jnp.asarray(given)
    except TypeError:
        raise UserError(f"'{name}' must be an array of numbers, not {written(given)}") from None


def _at_positions(name: str, given: Any, positions: tuple[int, ...]) -> Array:
    array, grid = _array(name, given), tuple(positions[: 1 if positions[1:3] == (1, 1) else 3])
    if array.size != math.prod(positions):
        raise UserError(f"'{name}' must have one number for each sample or position, {list(grid)}, not {list(array.shape)}")
    return jnp.reshape(array, positions)
