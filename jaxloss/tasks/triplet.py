"""The triplet loss with the hardest samples of a batch: an auxiliary loss, for networks that need it (MGN)."""

import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array, LossInputs


def batch_hard_triplet(inputs: LossInputs, axis_name: str | None = None, margin: float = 0.3) -> Array:
    """The mean of `[d(hardest own) - d(hardest other) + margin]+` over samples and embeddings.

    Args:
      inputs: `embedding` `[N, T, 1, D]`, `identity` `[N, 1, 1, 1]`.
      axis_name: device axis of a data-parallel step: triplets are then those of each device's share of the batch, and the result
        is this device's share of the mean.
      margin: in Euclidean distance.

    Returns:
      A scalar.

    References:
      A. Hermans, L. Beyer, B. Leibe: In Defense of the Triplet Loss for Person Re-Identification, 2017, Eq. 5.
    """
    vectors = jnp.moveaxis(inputs.arrays["embedding"][:, :, 0], 1, 0)  # [T, N, D]
    identities = inputs.arrays["identity"].reshape(-1)
    same = identities[:, None] == identities[None]
    squared = jnp.sum((vectors[:, :, None] - vectors[:, None]) ** 2, axis=-1)
    # The slope of the square root is infinite at 0, where every sample is to itself.
    distances = jnp.sqrt(jnp.maximum(squared, 1e-12))
    hardest_own = jnp.max(jnp.where(same, distances, 0), axis=-1)
    hardest_other = jnp.min(jnp.where(same, jnp.inf, distances), axis=-1)
    loss = jnp.mean(jnp.maximum(hardest_own - hardest_other + margin, 0))
    return loss if axis_name is None else loss / lax.axis_size(axis_name)
