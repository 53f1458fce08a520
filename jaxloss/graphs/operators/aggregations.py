"""Operators that look at other positions or channels, aware of void positions and of a device axis, for sets to choose from."""

import functools
import itertools

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


def _shifted(x: Array, row: int, column: int, outside: float | bool) -> Array:
    """Each position sees its neighbour at `(row - 1, column - 1)`; beyond the border is `outside`."""
    return _view(_bordered(x, outside), row, column)


def _bordered(x: Array, outside: float | bool) -> Array:
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=outside)


def _view(bordered: Array, row: int, column: int) -> Array:
    return bordered[:, row : row + bordered.shape[1] - 2, column : column + bordered.shape[2] - 2]


@jax.custom_jvp
def _window_maximum(x: Array, mask: Array) -> Array:
    # Pairwise: the maximum as a reduction loses NaN in XLA's vectorised CPU code. First along H, then along W.
    largest = jnp.where(mask, x, -jnp.inf)
    largest = functools.reduce(jnp.maximum, [_shifted(largest, row, 1, -jnp.inf) for row in range(3)])
    largest = functools.reduce(jnp.maximum, [_shifted(largest, 1, column, -jnp.inf) for column in range(3)])
    return jnp.where(mask, largest, 0)


@_window_maximum.defjvp
def _window_maximum_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    # The rule of jnp.max multiplies with zeros, so that an infinite cotangent poisons the elements that were not chosen. A
    # NaN is its window's maximum and takes the gradient. Nine views one by one: stacked, they take three times as long.
    x, mask = primals
    largest = _window_maximum(x, mask)
    chosen = {}
    for place in itertools.product(range(3), repeat=2):
        view, eligible = _shifted(x, *place, 0), _shifted(mask, *place, False) & mask
        chosen[place] = eligible & ((view == largest) | jnp.isnan(view))
    count = functools.reduce(jnp.add, [one.astype(x.dtype) for one in chosen.values()])
    moved = [jnp.where(one, _shifted(tangents[0], *place, 0), 0) for place, one in chosen.items()]
    return largest, functools.reduce(jnp.add, moved) / jnp.maximum(count, 1)


def min_pooling(x: Array, neighbourhood: Neighbourhood) -> Array:
    """Minimum over the valid part of each 3x3 window, see `max_pooling`."""
    return -max_pooling(-x, neighbourhood)


def max_pooling_pull_back(x: Array, neighbourhood: Neighbourhood, cotangent: Array) -> Array:
    """The cotangent of `max_pooling` at `x`: what reverse mode makes of it, to the bit, in a quarter of the time on a CPU.

    Reverse mode adds up nine arrays with borders of zeros; here every position looks at the nine windows that it is in.
    """
    mask = neighbourhood.mask
    if x.shape[1] == x.shape[2] == 1:
        return jnp.where(mask, cotangent, 0)
    places = list(itertools.product(range(3), repeat=2))
    # The barriers keep the borders out of the loops over all elements, which could not use vectors otherwise.
    pairs = lax.optimization_barrier({place: _shifted(mask, *place, False) & mask for place in places})

    def chosen(values: Array, largest: Array, place: tuple[int, int]) -> Array:
        return pairs[place] & ((values == largest) | jnp.isnan(values))

    bordered, largest = lax.optimization_barrier((_bordered(x, 0), _window_maximum(x, mask)))
    count = functools.reduce(jnp.add, [chosen(_view(bordered, *place), largest, place).astype(x.dtype) for place in places])
    shares = cotangent / jnp.maximum(count, 1)
    shares, largest = lax.optimization_barrier((_bordered(shares, 0), _bordered(largest, 0)))
    parts = [jnp.where(chosen(x, _view(largest, *place), place), _view(shares, *place), 0) for place in places]
    return functools.reduce(jnp.add, parts)


def min_pooling_pull_back(x: Array, neighbourhood: Neighbourhood, cotangent: Array) -> Array:
    """The cotangent of `min_pooling` at `x`, see `max_pooling_pull_back`."""
    return max_pooling_pull_back(-x, neighbourhood, cotangent)


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
    pull_back=max_pooling_pull_back,
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
    pull_back=min_pooling_pull_back,
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
