"""The margin-based softmax: cross-entropy over scaled cosines, in which the own class and the others are shaped differently.

    L = -log( e^{s t(cos_y)} / (e^{s t(cos_y)} + sum_{k != y} e^{s n(cos_k)}) )

`t` shapes the cosine to the own class, `n` those to the others. The pair-wise form has similarities to other samples in place of
classes, and several own ones:

    L = log( 1 + sum_j e^{s n(S_j)} sum_i e^{-s t(S_i)} )

With a single own class the two are the same number, so one function serves both: the task decides what the cosines are of.
"""

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array

# The arrays that such a loss reads, and the name of the base-2 logarithm of its scale.
INPUTS = ("cosine", "target")
LOG2_SCALE = "log2_s"


def margin_softmax(own_values: Array, other_values: Array, scale: Array, target: Array) -> Array:
    """The loss of every sample from the values of the two curves.

    Args:
      own_values: `t(x)` `[N, H, W, C]`; read where the target is 1.
      other_values: `n(x)` `[N, H, W, C]`; read elsewhere.
      scale: `s`, a scalar.
      target: `[N, H, W, C]`, 0 or 1.

    Returns:
      `[N, H, W, 1]`; 0 for a sample that has no own class, or no other.
    """
    own = target > 0.5
    to_own = jax.nn.logsumexp(jnp.where(own, -scale * own_values, -jnp.inf), axis=-1, keepdims=True)
    to_other = jax.nn.logsumexp(jnp.where(own, -jnp.inf, scale * other_values), axis=-1, keepdims=True)
    return jax.nn.softplus(to_own + to_other)
