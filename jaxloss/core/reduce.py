"""The one place where an unreduced loss is masked, weighted and averaged."""

import chex
import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array, LossInputs


def mean_loss(values: Array, inputs: LossInputs, axis_name: str | None = None) -> Array:
    """The loss value: the sum over C and the weighted mean over the valid N, H, W (Li et al., CVPR 2022, Eq. 2).

    Args:
      values: unreduced loss, one value per element `[N, H, W, C]` or per sample `[N, H, W, 1]`.
      inputs: gives `mask`, `weights` and what is divided by.
      axis_name: device axis of a data-parallel step. The result is then this device's share: shares (and their gradients)
        are to be summed over the devices.

    Returns:
      A scalar: `sum(weights * sum_c(values)) / sum(weights)`, or over `inputs.normaliser` where there is one.

    Raises:
      AssertionError: while tracing, where N, H, W of the values are not those of the mask: they would be broadcast unnoticed.
    """
    _check_positions(values, inputs)
    weights = jnp.where(inputs.mask, inputs.weights, 0).astype(values.dtype)
    per_position = jnp.sum(jnp.where(inputs.mask, values, 0), axis=-1, keepdims=True)
    normaliser = jnp.sum(weights) if inputs.normaliser is None else inputs.normaliser.astype(values.dtype)
    if axis_name is not None:
        normaliser = lax.psum(normaliser, axis_name)
    # A weight of zero takes a position out altogether: zero times an infinite loss would be NaN.
    per_position = jnp.where(weights > 0, per_position, 0)
    return jnp.sum(per_position * weights) / jnp.where(normaliser > 0, normaliser, 1)


def total_loss(values: Array, inputs: LossInputs) -> Array:
    """The sum over all valid elements, without normalisation (rejection protocol; Li et al., CVPR 2022, Appendix A).

    Raises:
      AssertionError: as `mean_loss`.
    """
    _check_positions(values, inputs)
    return jnp.sum(jnp.where(inputs.mask, values, 0))


def _check_positions(values: Array, inputs: LossInputs) -> None:
    chex.assert_rank((values, inputs.mask, inputs.weights), 4)
    chex.assert_equal_shape_prefix((values, inputs.mask, inputs.weights), 3)
