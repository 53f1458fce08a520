"""Operators that look at other positions or channels, aware of void positions and of a device axis, for sets to choose from."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array
from jaxloss.graphs.operators import python_helpers
from jaxloss.graphs.operators.operator import Neighbourhood, Operator


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
    if x.shape[1] == x.shape[2] == 1:
        return jnp.where(neighbourhood.mask, x, 0)
    return _window_maximum(x, neighbourhood.mask)


def _of_three(x: Array, axis: int, outside: float | bool) -> list[Array]:
    """What stands before, at and behind each position of an axis; beyond the border is `outside`."""
    border = [(1, 1) if one == axis else (0, 0) for one in range(x.ndim)]
    # The barrier keeps the border out of the loops over all elements, which could not use vectors otherwise.
    bordered = lax.optimization_barrier(jnp.pad(x, border, constant_values=outside))
    return [lax.slice_in_dim(bordered, place, place + x.shape[axis], axis=axis) for place in range(3)]


def _sum_of_chosen(chosen: Sequence[Array], x: Array, axis: int) -> Array:
    parts = zip(chosen, _of_three(x, axis, 0), strict=True)
    return functools.reduce(jnp.add, [jnp.where(one, part, 0) for one, part in parts])


@jax.custom_jvp
def _window_maximum(x: Array, mask: Array) -> Array:
    # Pairwise: the maximum as a reduction loses NaN in XLA's vectorised CPU code. First along W, then along H.
    largest = jnp.where(mask, x, -jnp.inf)
    for axis in (2, 1):
        largest = functools.reduce(jnp.maximum, _of_three(largest, axis, -jnp.inf))
    return jnp.where(mask, largest, 0)


@_window_maximum.defjvp
def _window_maximum_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    # The rule of jnp.max multiplies with zeros, so that an infinite cotangent poisons the elements that were not chosen. A
    # NaN is its window's maximum and takes the gradient. What a window chooses is chosen in three rows and then among these,
    # as the maximum itself: reverse mode adds up six arrays with borders, and not nine of whole windows.
    x, mask = primals
    rows = _of_three(jnp.where(mask, x, -jnp.inf), 2, -jnp.inf)
    largest = functools.reduce(jnp.maximum, rows)
    valid = _of_three(mask, 2, False)
    in_row = [one & ((row == largest) | jnp.isnan(row)) for one, row in zip(valid, rows, strict=True)]
    count = functools.reduce(jnp.add, [one.astype(x.dtype) for one in in_row])
    largest, count = lax.optimization_barrier((largest, count))

    rows = _of_three(largest, 1, -jnp.inf)
    largest = functools.reduce(jnp.maximum, rows)
    among_rows = [(row == largest) | jnp.isnan(row) for row in rows]
    count = _sum_of_chosen(among_rows, count, 1)
    in_row, among_rows, count, largest = lax.optimization_barrier((in_row, among_rows, count, largest))

    moved = lax.optimization_barrier(_sum_of_chosen(in_row, tangents[0], 2))
    moved = lax.optimization_barrier(_sum_of_chosen(among_rows, moved, 1))
    return jnp.where(mask, largest, 0), jnp.where(mask, moved / jnp.maximum(count, 1), 0)


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


MEAN_NHW = Operator(
    "Mean_nhw",
    1,
    mean_nhw,
    "Mean_nhw({0})",
    r"\mathrm{{Mean}}_{{nhw}}\left({0}\right)",
    "_mean_nhw({0}, mask)",
    helpers=(python_helpers.MEAN_NHW,),
    aggregates=True,
)
MEAN_C = Operator(
    "Mean_c",
    1,
    mean_c,
    "Mean_c({0})",
    r"\mathrm{{Mean}}_{{c}}\left({0}\right)",
    "_mean_c({0})",
    helpers=(python_helpers.MEAN_C,),
    aggregates=True,
)
MAX_POOLING = Operator(
    "MaxPool3x3",
    1,
    max_pooling,
    "MaxPool3x3({0})",
    r"\mathrm{{MaxPool}}\left({0}\right)",
    "_max_pooling({0}, mask)",
    helpers=(python_helpers.MAX_POOLING,),
    aggregates=True,
)
MIN_POOLING = Operator(
    "MinPool3x3",
    1,
    min_pooling,
    "MinPool3x3({0})",
    r"\mathrm{{MinPool}}\left({0}\right)",
    "-_max_pooling(-({0}), mask)",
    helpers=(python_helpers.MAX_POOLING,),
    aggregates=True,
)
DOT = Operator(
    "Dot",
    2,
    dot,
    "Dot({0}, {1})",
    r"{0}^{{\top}} {1}",
    "jnp.sum(({0}) * ({1}), axis=-1, keepdims=True)",
    commutative=True,
    aggregates=True,
    yields_sample=True,
    on_samples="DotOfSample",
)
SOFTMAX = Operator(
    "Softmax",
    1,
    softmax,
    "Softmax({0})",
    r"\mathrm{{softmax}}\left({0}\right)",
    "jax.nn.softmax({0}, axis=-1)",
    aggregates=True,
    on_samples="SoftmaxOfSample",
)
# Over the single channel of a value per sample. Softmax is one there, with the NaN pattern of the real thing.
DOT_OF_SAMPLE = Operator(
    "DotOfSample", 2, lambda x, y: x * y, "({0})*({1})", r"{0} \cdot {1}", "({0}) * ({1})", commutative=True, hidden=True
)
SOFTMAX_OF_SAMPLE = Operator("SoftmaxOfSample", 1, lambda x: x - x + 1, "1", "1", "({0}) - ({0}) + 1", hidden=True)
