"""The last layer, which all networks share."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array


class Head(nn.Module):
    """A dense layer from features to logits, in float32 or better whatever the rest of the network computes in.

    Attributes:
      num_classes: logits per example.
    """

    num_classes: int

    @nn.compact
    def __call__(self, features: Array) -> Array:
        """Logits `[N, num_classes]` of features `[N, units]`."""
        dtype: Any = jnp.promote_types(features.dtype, jnp.float32)
        return nn.Dense(self.num_classes, dtype=dtype, name="logits")(features)
