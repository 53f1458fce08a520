"""Feature maps of another size: interpolated by one matrix product for the rows and one for the columns, doubled, or averaged."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxloss.core.types import Array


def bilinear(maps: Array, height: int, width: int) -> Array:
    """Maps of another size by bilinear interpolation, `[N, H, W, C] -> [N, height, width, C]`.

    Pixels are areas, as in PyTorch's `interpolate` with `align_corners=False`: corners of the images lie on each other, centres
    of the outer pixels do not. Between centres nothing is averaged, so it is meant for sizes that grow.
    """
    if maps.shape[1:3] == (height, width):
        return maps
    return _resampled(maps, interpolation(maps.shape[1], height), interpolation(maps.shape[2], width))


def window_means(maps: Array, count: int) -> Array:
    """Means over windows of a grid, `[N, H, W, C] -> [N, count, count, C]`.

    Windows share a row or a column where the size is no multiple of `count`, as in PyTorch's `adaptive_avg_pool2d`.
    """
    return _resampled(maps, windows(maps.shape[1], count), windows(maps.shape[2], count))


def interpolation(size: int, new_size: int) -> np.ndarray:
    """The matrix of linear interpolation, float32 `[new_size, size]`; rows sum to 1."""
    centres = np.clip((np.arange(new_size) + 0.5) * size / new_size - 0.5, 0, size - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(size))).astype(np.float32)


def windows(size: int, count: int) -> np.ndarray:
    """The matrix of means over windows, float32 `[count, size]`; rows sum to 1."""
    numbers = np.arange(count)
    starts, ends = numbers * size // count, -(-(numbers + 1) * size // count)
    inside = (np.arange(size) >= starts[:, None]) & (np.arange(size) < ends[:, None])
    return (inside / (ends - starts)[:, None]).astype(np.float32)


def _resampled(maps: Array, rows: np.ndarray, columns: np.ndarray) -> Array:
    # In float32: the weights are no numbers of bfloat16.
    exact = jnp.promote_types(maps.dtype, jnp.float32)
    result = jnp.einsum("yh,nhwc,xw->nyxc", rows, maps.astype(exact), columns, precision=lax.Precision.HIGHEST)
    return result.astype(maps.dtype)


def doubled(maps: Array, height: int, width: int) -> Array:
    """Every pixel four times, cut to a size: `[N, h, w, C] -> [N, height, width, C]`, at most `[N, 2 h, 2 w, C]`."""
    n, rows, columns, channels = maps.shape
    repeated = jnp.broadcast_to(maps[:, :, None, :, None], (n, rows, 2, columns, 2, channels))
    return repeated.reshape(n, 2 * rows, 2 * columns, channels)[:, :height, :width]
