"""A convolution layer that runs either as XLA's own convolution or as slices and one matrix product.

On the CPU a native convolution inside a loop (`scan`, `lax.map`) is many times slower than outside, and under `vmap` over
kernels it becomes a grouped convolution, which is slow too. Patches and a matrix product have neither trouble (under `vmap`
the product is a batched one), at the price of holding every patch in memory: `kernel height * kernel width` times the input.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxloss.core.errors import unknown
from jaxloss.core.types import Array


def convolve_by_patches(
    inputs: Array,
    kernel: Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
) -> Array:
    """Does what `jax.lax.conv_general_dilated` does for two-dimensional, channel-last, dense or depthwise convolutions.

    A depthwise one needs no matrix product: it is a sum of shifted inputs, each weighed by one pixel of the kernel.

    Args:
      inputs: `[N, H, W, C]`.
      kernel: `[kernel height, kernel width, C, features]`, or `[kernel height, kernel width, 1, C]` where it is depthwise.
      window_strides: `(rows, columns)`.
      padding: `SAME`, `VALID` or `((above, below), (left, right))`.
      lhs_dilation: all ones, as Linen passes it.
      rhs_dilation: all ones.
      dimension_numbers: those of Linen, channel-last.
      feature_group_count: 1, or `C` where it is depthwise.
      precision: of the matrix product.

    Returns:
      `[N, output height, output width, features]`.
    """
    del dimension_numbers
    height, width, channels, features = kernel.shape
    depthwise = feature_group_count == inputs.shape[-1] == features and channels == 1
    if not (depthwise or feature_group_count == 1) or set(lhs_dilation or (1,)) | set(rhs_dilation or (1,)) != {1}:
        raise ValueError("convolution by patches has no dilation, and no groups of several channels or to several")
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(inputs.shape[1:3], (height, width), window_strides, padding)
    padded = jnp.pad(inputs, ((0, 0), *padding, (0, 0)))
    rows, columns = window_strides
    # Where the last window begins, plus one: the end of every slice, counted from its start.
    last_row, last_column = padded.shape[1] - height + 1, padded.shape[2] - width + 1
    patches = [
        padded[:, row : row + last_row : rows, column : column + last_column : columns]
        for row in range(height)
        for column in range(width)
    ]
    if depthwise:
        return sum(patch * weights for patch, weights in zip(patches, kernel.reshape(height * width, features), strict=True))
    return jnp.matmul(jnp.concatenate(patches, axis=-1), kernel.reshape(height * width * channels, features), precision=precision)


def _he_normal(key: Array, shape: Sequence[int], dtype: Any) -> Array:
    """What Linen's `he_normal` draws, to the bit; on a CPU, XLA takes up to ten times as long to compile a draw of four axes."""
    return nn.initializers.he_normal()(key, (math.prod(shape[:-1]), shape[-1]), dtype).reshape(shape)


# None leaves Linen's own choice, `jax.lax.conv_general_dilated`.
CONVOLUTIONS: Mapping[str, Callable[..., Array] | None] = {"native": None, "patches": convolve_by_patches}


def convolution(
    features: int,
    kernel_size: int = 3,
    *,
    stride: int = 1,
    groups: int = 1,
    implementation: str = "patches",
    use_bias: bool = True,
    dtype: Any = jnp.float32,
) -> nn.Conv:
    """A Linen layer `[N, H, W, C] -> [N, ceil(H / stride), ceil(W / stride), features]` with zeros around.

    Parameters and their initial values are the same for both implementations, so weights can move from one to the other.

    Args:
      features: channels that come out.
      kernel_size: of the square kernel, in pixels.
      stride: in pixels.
      groups: of channels that do not see each other: 1, or all channels where it is depthwise.
      implementation: a name in `CONVOLUTIONS`.
      use_bias: adds one number per feature.
      dtype: of the computation; parameters are float32.
    """
    if implementation not in CONVOLUTIONS:
        raise unknown("convolution", implementation, CONVOLUTIONS)
    return nn.Conv(
        features,
        (kernel_size, kernel_size),
        strides=(stride, stride),
        padding="SAME",
        feature_group_count=groups,
        use_bias=use_bias,
        dtype=dtype,
        kernel_init=_he_normal,
        conv_general_dilated=CONVOLUTIONS[implementation],
    )
