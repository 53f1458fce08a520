"""A multilayer perceptron, for small images."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.head import Head


class MLP(nn.Module):
    """Dense layers with ReLU on the flattened image.

    Attributes:
      num_classes: `C`.
      features: units of each hidden layer.
      dtype: of the computation, for example `bfloat16`; logits are float32.
    """

    num_classes: int
    features: tuple[int, ...] = (64,)
    dtype: Any = "float32"

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Array:
        """Logits `[N, C]` of images `[N, H, W, channels]`; `train` changes nothing."""
        del train
        hidden = images.reshape(len(images), -1)
        for width in self.features:
            hidden = nn.relu(nn.Dense(width, dtype=jnp.dtype(self.dtype), kernel_init=nn.initializers.he_normal())(hidden))
        return Head(self.num_classes)(hidden)
