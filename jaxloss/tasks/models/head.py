"""The last layer, which all networks share."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array


class Head(nn.Module):
    """A dense layer from features to logits, in float32 or better whatever the rest of the network computes in.

    Attributes:
      num_classes: logits per example, or per pixel.
    """

    num_classes: int

    @nn.compact
    def __call__(self, features: Array) -> Array:
        """Logits `[..., num_classes]` of features `[..., units]`: of an example, or of each of its pixels."""
        dtype: Any = jnp.promote_types(features.dtype, jnp.float32)
        return nn.Dense(self.num_classes, dtype=dtype, name="logits")(features)
