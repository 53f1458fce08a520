"""An embedding network with the cosine classifiers that a margin-based softmax loss trains."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array
from jaxloss.tasks.models.embeddings import EmbeddingNetwork, Embeddings

# Cosines stay off 1 and -1, where arccos and arcsin have infinite slopes.
_INSIDE = 1e-6


def unit(vectors: Array, axis: int = -1) -> Array:
    """Vectors of length one; a vector of zeros stays so, and has gradient 0."""
    return vectors * lax.rsqrt(jnp.maximum(jnp.sum(vectors**2, axis=axis, keepdims=True), 1e-12))


def clipped(cosines: Array) -> Array:
    """Cosines inside (-1, 1)."""
    return jnp.clip(cosines, -1 + _INSIDE, 1 - _INSIDE)


class CosineClassifiers(nn.Module):
    """The network, and for each of its heads the directions of all classes.

    Attributes:
      network: gives the embeddings.
      num_classes: `C`, identities in training; 0 for a network that is trained on pairs and needs none.
      class_length: about how long the directions begin (normal numbers of deviation `class_length / sqrt(D)`). Only their
        angles count, and the shorter they are the faster they turn.
    """

    network: EmbeddingNetwork
    num_classes: int
    class_length: float = 1.0

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> tuple[Embeddings, Array | None]:
        """The embeddings, and the cosines `[N, M, C]` of the M heads to the classes."""
        embeddings = self.network(images, train)
        if not self.num_classes:
            return embeddings, None
        _, heads, size = embeddings.heads.shape
        initialise = nn.initializers.normal(self.class_length / size**0.5)
        directions = self.param("classes", initialise, (heads, size, self.num_classes))
        # In full precision: a scale of 2^7 and more makes much of small differences.
        cosines = jnp.einsum("nmd,mdc->nmc", unit(embeddings.heads), unit(directions, axis=1), precision=lax.Precision.HIGHEST)
        return embeddings, clipped(cosines)


def pair_cosines(heads: Array, identities: Array) -> tuple[Array, Array]:
    """Every sample's similarity to each other sample of the batch, and whether that is of the same identity.

    Args:
      heads: `[N, M, D]`.
      identities: int `[N]`.

    Returns:
      Cosines `[N, M, N - 1]`, and 0 or 1 `[N, M, N - 1]`.
    """
    count = len(heads)
    others = (jnp.arange(count)[:, None] + jnp.arange(1, count)) % count
    directions = unit(heads)
    cosines = jnp.einsum("nmd,kmd->nmk", directions, directions, precision=lax.Precision.HIGHEST)
    cosines = jnp.take_along_axis(cosines, others[:, None], axis=2)
    same = (identities[:, None] == identities[others]).astype(cosines.dtype)
    return clipped(cosines), jnp.broadcast_to(same[:, None], cosines.shape)
