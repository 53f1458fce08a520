"""What embedding networks give: the vectors that a margin-based loss trains and retrieval compares."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.pretrainable import Pretrainable


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Embeddings:
    """The embeddings of a batch, in float32.

    Attributes:
      heads: `[N, M, D]` M embeddings per image; each gets a cosine classifier of its own and the loss.
      feature: `[N, F]` what retrieval compares at test time.
      metric: `[N, T, D2]` embeddings for an extra triplet loss, or None where the network has none.
    """

    heads: Array
    feature: Array
    metric: Array | None = None


class EmbeddingNetwork(Pretrainable):
    """A network `(images [N, H, W, C], train) -> Embeddings`. With `train` BatchNorm uses the batch and updates `batch_stats`."""


def count_parameters(network: nn.Module, height: int, width: int, channels: int = 3) -> int:
    """Trained numbers of a network for images `[height, width, channels]`; no running statistics, no classifiers."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct((1, height, width, channels), jnp.float32))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
