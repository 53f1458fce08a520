"""Sums of counts that stay exact beyond 2^31, in 32 bits: two digits each, which add up digit by digit.

float32 loses integers beyond 2^24, int32 ends at 2^31, and the training set of Cityscapes has 6 x 10^9 pixels. A sum is an int32
array `[2, ...]`, `high 2^20 + low`. Sums of sums are sums, however the digits stand, so that `jax.lax.psum` merges those of up to
a thousand devices; only then a carry is due.
"""

import jax.numpy as jnp

from jaxloss.core.types import Array

_DIGIT_BITS = 20
_BASE = 2**_DIGIT_BITS
# The most that may be added at a time, beside a low digit and what devices add to it.
LARGEST_PART = 2**30


def exact_zeros(shape: tuple[int, ...]) -> Array:
    """Sums of nothing, int32 `[2, *shape]`."""
    return jnp.zeros((2, *shape), jnp.int32)


def add_exactly(sums: Array, counts: Array) -> Array:
    """Sums with further counts.

    Args:
      sums: int32 `[2, ...]`.
      counts: int32 `[...]`, from 0 to `LARGEST_PART`.
    """
    high, low = carry(sums)
    return carry(jnp.stack([high, low + counts]))


def carry(sums: Array) -> Array:
    """The same sums with low digits below 2^20."""
    high, low = sums
    return jnp.stack([high + low // _BASE, low % _BASE])


def as_float(sums: Array) -> Array:
    """The sums as float32 `[...]`, rounded once, the same however their digits stand."""
    high, low = carry(sums)
    return high.astype(jnp.float32) * _BASE + low.astype(jnp.float32)
