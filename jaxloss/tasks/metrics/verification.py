"""Whether two images show one identity, as faces are judged: accepted pairs at a rate of false ones, and identification.

- *Verification*: every pair of images of a split is genuine (one identity) or an impostor's (two). Pairs above a threshold of the
  cosine are accepted. `tar_at_far_R` is the share of genuine pairs that is accepted where at most the share R of the impostors'
  is: the threshold is the lowest for which that holds, and a pair at the threshold is not accepted.
- *Identification among distractors*: of every two images of one identity, the one is looked for with the other among all images
  of other identities. `rank_1_distractors` is the share in which it is the most similar; equal similarities do not count.

As everywhere here, identity `JUNK` is left out, a feature of norm 0 has similarity 0 with everything, and what is not finite
never scores: a genuine pair is not accepted, an impostor's is.

References:
  I. Kemelmacher-Shlizerman et al.: The MegaFace Benchmark, CVPR 2016.
"""

import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.metrics.retrieval import JUNK, cosines, normalise

FALSE_ACCEPT_RATES = (0.01, 0.001)
RANK_1 = "rank_1_distractors"
VERIFICATION = (*(f"tar_at_far_{rate:g}" for rate in FALSE_ACCEPT_RATES), RANK_1)


def verification_scores(features: Array, ids: Array) -> dict[str, Array]:
    """The scores of `VERIFICATION`, of all pairs of a split at once; jittable.

    Memory and time go with the square of the number of images: for some thousands of them.

    Args:
      features: float `[M, F]`; need not be normalised.
      ids: int `[M]`, `JUNK` to be ignored.

    Returns:
      Scalars in `[0, 1]`; 0 where there is no genuine pair.
    """
    vectors = normalise(features)
    similarities = cosines(vectors, vectors)
    known = (ids != JUNK)[:, None] & (ids != JUNK)
    same, once = ids[:, None] == ids, jnp.triu(jnp.ones(similarities.shape, bool), 1)
    genuine, impostor = known & same & once, known & ~same & once
    finite = jnp.isfinite(similarities)
    # From the most similar impostors on; what is no impostor's pair comes last.
    ordered = -jnp.sort(-jnp.where(impostor, jnp.where(finite, similarities, jnp.inf), -jnp.inf), axis=None)
    num_genuine, num_impostor = genuine.sum(), impostor.sum()

    def accepted(rate: float) -> Array:
        # In whole numbers: float32 has 0.01 times 100 below 1.
        allowed = num_impostor // round(1 / rate)
        right = genuine & finite & (similarities > ordered[allowed])
        return right.sum() / jnp.maximum(num_genuine, 1)

    strongest = jnp.max(jnp.where(known & ~same, jnp.where(finite, similarities, jnp.inf), -jnp.inf), axis=1, keepdims=True)
    mates = known & same & ~jnp.eye(len(ids), dtype=bool)
    found = mates & finite & (similarities > strongest)
    scores = {f"tar_at_far_{rate:g}": accepted(rate) for rate in FALSE_ACCEPT_RATES}
    return {**scores, RANK_1: found.sum() / jnp.maximum(mates.sum(), 1)}
