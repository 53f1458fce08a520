"""From maps to keypoints."""

import jax.numpy as jnp

from jaxloss.core.types import Array

# Of a position, towards the higher neighbour (Newell et al., ECCV 2016; Xiao et al., ECCV 2018).
STEP = 0.25


def decode(maps: Array, stride: int) -> tuple[Array, Array]:
    """The highest position of each map, and a quarter step from there to its higher neighbour along x and along y.

    Neighbours that are equally high pull nowhere, nor do those of a position at the border. What is not a number is lowest.

    Args:
      maps: float `[N, h, w, K]`.
      stride: pixels of the input for a position.

    Returns:
      Keypoints `[N, K, 2]`, x and y in pixels of the input from the middle of the first one, and the peaks `[N, K]`.
    """
    count, height, width, keypoints = maps.shape
    finite = jnp.where(jnp.isnan(maps), -jnp.inf, maps)
    flat = finite.transpose(0, 3, 1, 2).reshape(count, keypoints, height * width)
    best = jnp.argmax(flat, axis=-1)
    row, column = best // width, best % width

    def step(place: Array, size: int, distance: int) -> Array:
        ahead, behind = (
            jnp.take_along_axis(flat, jnp.clip(best + way, 0, flat.shape[-1] - 1)[..., None], axis=-1)[..., 0]
            for way in (distance, -distance)
        )
        inside = (place > 0) & (place < size - 1)
        return jnp.where(inside, STEP * ((ahead > behind).astype(maps.dtype) - (ahead < behind).astype(maps.dtype)), 0)

    places = jnp.stack([column + step(column, width, 1), row + step(row, height, width)], axis=-1)
    return (places + 0.5) * stride - 0.5, jnp.max(flat, axis=-1)
