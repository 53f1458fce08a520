"""Operators that look at other positions or channels, aware of void positions and of a device axis."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array


@dataclasses.dataclass(frozen=True)
class Neighbourhood:
    """What an aggregation needs beside its operand.

    Attributes:
      mask: bool `[N, H, W, 1]`, False on void positions.
      axis_name: name of the device axis over which Mean over n runs, or None on one device.
    """

    mask: Array
    axis_name: str | None = None


def _mean_over_positions(x: Array, mask: Array) -> Array:
    """Mean over the valid positions, per channel, put back at each of them. `[N, H, W, C]` to the same shape."""
    total = jnp.sum(jnp.where(mask, x, 0), axis=(0, 1, 2), keepdims=True)
    count = jnp.sum(mask.astype(x.dtype), axis=(0, 1, 2), keepdims=True)
    # Void positions get 0, not the mean: a cotangent there may be NaN (0 * inf) and must not reach the valid ones.
    return jnp.where(mask, jnp.broadcast_to(total / jnp.maximum(count, 1), x.shape), 0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _mean_over_devices(x: Array, mask: Array, axis_name: str) -> Array:
    return _mean_over_devices_forward(x, mask, axis_name)[0]


def _mean_over_devices_forward(x: Array, mask: Array, axis_name: str) -> tuple[Array, tuple[Array, Array]]:
    total = lax.psum(jnp.sum(jnp.where(mask, x, 0), axis=(0, 1, 2), keepdims=True), axis_name)
    count = jnp.maximum(lax.psum(jnp.sum(mask.astype(x.dtype), axis=(0, 1, 2), keepdims=True), axis_name), 1)
    return jnp.where(mask, jnp.broadcast_to(total / count, x.shape), 0), (mask, count)


def _mean_over_devices_backward(axis_name: str, saved: tuple[Array, Array], cotangent: Array) -> tuple[Array, None]:
    # Every device uses the mean, so its cotangents are summed over all of them. Written out: what the transpose of psum
    # means depends on how the mapped program treats replicated values.
    mask, count = saved
    total = lax.psum(jnp.sum(jnp.where(mask, cotangent, 0), axis=(0, 1, 2), keepdims=True), axis_name)
    return jnp.where(mask, jnp.broadcast_to(total / count, cotangent.shape), 0), None


_mean_over_devices.defvjp(_mean_over_devices_forward, _mean_over_devices_backward)


def mean_nhw(x: Array, neighbourhood: Neighbourhood) -> Array:
    """Mean over n, h and w per channel, over all devices of the axis; keeps the shape `[N, H, W, C]`."""
    if neighbourhood.axis_name is None:
        return _mean_over_positions(x, neighbourhood.mask)
    return _mean_over_devices(x, neighbourhood.mask, neighbourhood.axis_name)


def mean_c(x: Array, neighbourhood: Neighbourhood) -> Array:
    """Mean over the channels; keeps the shape `[N, H, W, C]`."""
    del neighbourhood
    return jnp.broadcast_to(jnp.mean(x, axis=-1, keepdims=True), x.shape)


def max_pooling(x: Array, neighbourhood: Neighbourhood) -> Array:
    """Maximum over the valid part of each 3x3 window, stride 1, padding 1; 0 at void positions.

    The gradient is shared evenly between ties: the same on every device, where the gradient of a window reduction picks
    one of them by the order of evaluation.
    """
    mask = neighbourhood.mask
    height, width = x.shape[1:3]
    if height == width == 1:
        return jnp.where(mask, x, 0)

    def windows(tensor: Array) -> Array:
        padded = jnp.pad(tensor, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return jnp.stack([padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)])

    return _largest(windows(x), windows(mask) & mask[None])


@jax.custom_jvp
def _largest(views: Array, eligible: Array) -> Array:
    """The largest eligible of the leading axis, `[9, N, H, W, C]` to `[N, H, W, C]`; 0 where none is."""
    # Pairwise: the maximum as a reduction loses NaN in XLA's vectorised CPU code.
    largest = functools.reduce(jnp.maximum, jnp.where(eligible, views, -jnp.inf))
    return jnp.where(jnp.any(eligible, axis=0), largest, 0)


@_largest.defjvp
def _largest_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    # The rule of jnp.max multiplies with zeros, so that an infinite cotangent poisons the elements that were not chosen. A
    # NaN is its window's maximum and takes the gradient.
    views, eligible = primals
    largest = _largest(views, eligible)
    chosen = eligible & ((views == largest[None]) | jnp.isnan(views))
    count = jnp.maximum(jnp.sum(chosen, axis=0, dtype=views.dtype), 1)
    return largest, jnp.sum(jnp.where(chosen, tangents[0], 0), axis=0) / count


def min_pooling(x: Array, neighbourhood: Neighbourhood) -> Array:
    """Minimum over the valid part of each 3x3 window, see `max_pooling`."""
    return -max_pooling(-x, neighbourhood)


def dot(x: Array, y: Array, neighbourhood: Neighbourhood) -> Array:
    """Class-wise dot product, `[..., C]` and `[..., C]` to one value per sample `[..., 1]`."""
    del neighbourhood
    return jnp.sum(x * y, axis=-1, keepdims=True)


def softmax(x: Array, neighbourhood: Neighbourhood) -> Array:
    """Softmax over the channels."""
    del neighbourhood
    return jax.nn.softmax(x, axis=-1)
