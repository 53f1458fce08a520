"""Batches of P identities with K images each, drawn inside jit."""

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array


def pk_order(
    key: Array,
    identities: Array,
    num_identities: int,
    identities_per_batch: int = 16,
    images_per_identity: int = 4,
    num_batches: int = 1,
) -> Array:
    """The examples of an epoch of PK batches, one batch after the other (pure; may be mapped over keys).

    All identities of a batch are different. They are visited permutation by permutation: nowhere in the order has one been
    visited more than once more than another. A visit takes the next `K` images of the identity's own random order, which begins
    again when it is through: an identity with fewer than `K` images repeats them, one with more shows no image twice in a batch.

    Args:
      key: of the epoch.
      identities: int32 `[M]`, 0 to `num_identities - 1`; each occurs.
      num_identities: `I` (static).
      identities_per_batch: `P` (static).
      images_per_identity: `K` (static).
      num_batches: (static), see `num_pk_batches`.

    Returns:
      Rows, int32 `[num_batches * P * K]`, grouped by identity within a batch.

    Raises:
      UserError: where there are fewer than `P` identities, or a number is not positive.

    References:
      A. Hermans, L. Beyer, B. Leibe: In Defense of the Triplet Loss for Person Re-Identification, 2017, section 2.
      H. Gu et al., CVPR 2022, supplement, section G.2: P = 16, K = 4.
    """
    if min(identities_per_batch, images_per_identity, num_batches) < 1:
        raise UserError(
            f"identities_per_batch ({identities_per_batch}), images_per_identity ({images_per_identity}) and the number of "
            f"batches ({num_batches}) must be at least 1"
        )
    if identities_per_batch > num_identities:
        raise UserError(f"identities_per_batch is {identities_per_batch}, but there are {num_identities} training identities")
    visit_key, image_key = jax.random.split(key)
    num_slots = num_batches * identities_per_batch
    visited = _visits(visit_key, num_identities, identities_per_batch, -(-num_slots // num_identities))[:num_slots]

    # Every identity's images in a random order, one identity after the other.
    shuffled = jnp.lexsort((jax.random.bits(image_key, identities.shape), identities))
    counts = jnp.bincount(identities, length=num_identities)
    first = jnp.cumsum(counts) - counts
    # The permutations count the visits: before slot s, an identity was visited s // I times.
    visit = jnp.arange(num_slots) // num_identities
    place = visit[:, None] * images_per_identity + jnp.arange(images_per_identity)
    rows = shuffled[first[visited][:, None] + place % counts[visited][:, None]]
    return rows.reshape(-1).astype(jnp.int32)


def num_pk_batches(num_images: int, identities_per_batch: int, images_per_identity: int) -> int:
    """Batches in an epoch: as many as there are whole ones in the number of images, at least 1."""
    return max(1, num_images // (identities_per_batch * images_per_identity))


def _visits(key: Array, num_identities: int, identities_per_batch: int, num_permutations: int) -> Array:
    """Permutations of the identities one after the other, int32 `[num_permutations * I]`, with different ones in each batch.

    A batch may begin in one permutation and end in the next. The next one then brings identities to its front, in their random
    order, that are not in the batch yet.
    """

    def following(previous: Array, index_and_permutation: tuple[Array, Array]) -> tuple[Array, Array]:
        index, permutation = index_and_permutation
        begun = (index * num_identities) % identities_per_batch  # places of the batch that the previous one has filled
        place_before = jnp.argsort(previous)
        free = place_before[permutation] < num_identities - begun
        to_front = free & (jnp.cumsum(free) <= identities_per_batch - begun)
        permutation = permutation[jnp.argsort(~to_front, stable=True)]
        return permutation, permutation

    permutations = jnp.argsort(jax.random.bits(key, (num_permutations, num_identities)), axis=1)
    _, permutations = jax.lax.scan(following, permutations[0], (jnp.arange(num_permutations), permutations))
    return permutations.reshape(-1)
