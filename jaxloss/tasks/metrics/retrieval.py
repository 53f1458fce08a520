"""How well queries find images of the same identity in a gallery: mean average precision and cumulative matching (CMC).

The rules of person re-identification, which plain retrieval shares as far as they apply:

- Similarity is the cosine: features are divided by their norm here. A feature of norm 0 has similarity 0 with everything.
- A gallery image of the query's identity *and* camera is removed for that query. Identity `JUNK` is ignored altogether, as
  query and in the gallery. Distractors (identity 0 in Market-1501) need no rule: no query has their identity, so that they are
  ordinary wrong answers.
- A query without any right answer left is skipped; how many are is part of the result.
- Of equal similarities the wrong answers come first, so that a network that maps all images to one point gains nothing.
- What is not finite never scores: a right answer with such a similarity is not found, a wrong one is ahead of all others.

Average precision of a query whose j-th right answer, of n, stands at rank r_j, in its two conventions:

- `step`, as in scikit-learn (since 0.19) and torchreid: sum_j (j / r_j) / n.
- `trapezoid`, as in the official code of Market-1501: sum_j ((j - 1) / (r_j - 1) + j / r_j) / 2n, the first fraction being 1 at
  rank 1. Step scores higher, except for queries whose right answers all come first.

Nothing is sorted. Only the ranks of the right answers are needed, which are few: the j-th has rank j + the number of wrong
answers that are at least as similar. Figures are exact for float32 similarities, computed in full precision on accelerators too.

References:
  L. Zheng et al.: Scalable Person Re-identification: A Benchmark, ICCV 2015.
"""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array

JUNK = -1
# The most similarities that are held at once, unless the chunk is given: 16 MiB, in some four arrays.
_CHUNK_ELEMENTS = 2**22
# Right answers that are looked for at once.
_BLOCK = 16
_NEVER = jnp.iinfo(jnp.int32).max


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class QueryScores:
    """What is said of every query.

    Attributes:
      step: float `[Q]` average precision, 0 where there is no right answer.
      trapezoid: float `[Q]` likewise, in the other convention.
      first_rank: int32 `[Q]` rank of the first right answer, from 1; the largest number there is where none is found.
      num_right: int32 `[Q]` right answers in the gallery, found or not.
    """

    step: Array
    trapezoid: Array
    first_rank: Array
    num_right: Array


@functools.partial(jax.jit, static_argnames=("same_images", "ranks", "chunk"))
def retrieval_scores(
    query_features: Array,
    gallery_features: Array,
    query_ids: Array,
    gallery_ids: Array,
    query_cameras: Array | None = None,
    gallery_cameras: Array | None = None,
    *,
    query_mask: Array | None = None,
    gallery_mask: Array | None = None,
    same_images: bool = False,
    ranks: tuple[int, ...] = (1, 5, 10),
    chunk: int | None = None,
) -> dict[str, Array]:
    """Mean average precision and CMC of all queries, in chunks of queries, so that memory is bounded.

    For a split whose images are query and gallery at once, pass the same features twice, with the masks and `same_images`.

    Args:
      query_features: float `[Q, F]`; need not be normalised.
      gallery_features: float `[G, F]`.
      query_ids: int `[Q]`, `JUNK` to be ignored.
      gallery_ids: int `[G]`.
      query_cameras: int `[Q]`; None for retrieval without cameras, which removes no right answer.
      gallery_cameras: int `[G]`.
      query_mask: bool `[Q]`, False for what is no query (padding); None for all True.
      gallery_mask: bool `[G]`, False for what is not in the gallery; None for all True.
      same_images: whether row i of the queries and row i of the gallery are one image, which is then never its own answer.
      ranks: at which CMC is given.
      chunk: queries at once; None for as many as have 4 million similarities.

    Returns:
      Scalars `mAP_step`, `mAP_trapezoid` and `rank_1`, `rank_5`, ... in `[0, 1]`, means over the queries that have a right answer
      (0 where none has one); `num_queries`, how many these are, and `num_skipped_queries`, how many have none.

    Raises:
      UserError: see `check_arguments`; for `same_images` with different numbers.
    """
    check_arguments(query_features, gallery_features, query_cameras, gallery_cameras, ranks, chunk)
    if same_images and len(query_ids) != len(gallery_ids):
        raise UserError(f"same_images needs as many queries as gallery images, not {len(query_ids)} and {len(gallery_ids)}")
    num_queries, num_gallery = len(query_ids), len(gallery_ids)
    gallery = normalise(gallery_features)

    def score(part: tuple[Array, Array, Array | None, Array, Array]) -> QueryScores:
        features, ids, cameras, rows, _ = part
        similarities = cosines(normalise(features), gallery)
        right, wrong = answers(ids, gallery_ids, cameras, gallery_cameras, gallery_mask)
        if same_images:
            others = rows[:, None] != jnp.arange(num_gallery)
            right, wrong = right & others, wrong & others
        return score_queries(similarities, right, wrong)

    def score_if_asked(part: tuple[Array, ...]) -> QueryScores:
        blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(score, part))
        return jax.lax.cond(part[-1].any(), score, lambda _: blank, part)

    is_query = asked(query_ids, query_mask)
    size = min(chunk or chunk_size(num_gallery), num_queries)
    num_chunks = -(-num_queries // size)

    def chunked(array: Array) -> Array:
        padded = jnp.pad(array, [(0, num_chunks * size - num_queries)] + [(0, 0)] * (array.ndim - 1))
        return padded.reshape(num_chunks, size, *array.shape[1:])

    parts = (query_features, query_ids, query_cameras, jnp.arange(num_queries), is_query)
    # Where one set is query and gallery at once, most images are often no queries: whole chunks of them cost nothing.
    scores = jax.lax.map(score_if_asked, jax.tree.map(lambda array: chunked(jnp.asarray(array)), parts))
    scores = jax.tree.map(lambda array: array.reshape(num_chunks * size)[:num_queries], scores)
    return mean_scores(scores, is_query, ranks)


def recalls(scores: Mapping[str, Array]) -> dict[str, Array]:
    """The matching rates of `retrieval_scores` under the names that they have in retrieval without cameras.

    Without cameras a query's right answers are all other images of its identity, and the share of queries that have one of them
    among the k most similar is called `recall_k`, not `rank_k`.
    """
    return {name.replace("rank_", "recall_"): value for name, value in scores.items() if name.startswith("rank_")}


@jax.jit
def normalise(features: Array) -> Array:
    """Rows divided by their norm, at least in float32; rows of zeros remain so, rows that are not finite become NaN."""
    features = jnp.asarray(features)
    features = features.astype(jnp.promote_types(features.dtype, jnp.float32))
    # First by the largest entry: squares of very large and very small entries are not finite, or 0.
    largest = jnp.max(jnp.abs(features), axis=1, keepdims=True)
    scaled = features / jnp.where(largest == 0, 1, largest)
    norms = jnp.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / jnp.where(norms == 0, 1, norms)


def cosines(queries: Array, gallery: Array) -> Array:
    """Similarities `[Q, G]` of normalised features, in full precision on every device."""
    return jnp.matmul(queries, gallery.T, precision=jax.lax.Precision.HIGHEST)


def answers(
    query_ids: Array,
    gallery_ids: Array,
    query_cameras: Array | None = None,
    gallery_cameras: Array | None = None,
    gallery_mask: Array | None = None,
) -> tuple[Array, Array]:
    """Which gallery images are right and which are wrong answers, bool `[Q, G]` each; the rest is removed for that query."""
    same = query_ids[:, None] == gallery_ids[None]
    counted = jnp.asarray(gallery_ids != JUNK)
    if gallery_mask is not None:
        counted = counted & gallery_mask
    right = same if query_cameras is None else same & (query_cameras[:, None] != gallery_cameras[None])
    return right & counted, ~same & counted


@jax.jit
def score_queries(similarities: Array, right: Array, wrong: Array) -> QueryScores:
    """Scores of queries whose similarities are known.

    Args:
      similarities: float `[Q, G]`; not finite where the features are broken.
      right: bool `[Q, G]`, see `answers`.
      wrong: bool `[Q, G]`.
    """
    num_queries, num_gallery = similarities.shape
    finite = jnp.isfinite(similarities)
    found = right & finite
    wrong_similarities = jnp.where(wrong, jnp.where(finite, similarities, jnp.inf), -jnp.inf)
    num_found = found.sum(axis=1, dtype=jnp.int32)
    num_right = right.sum(axis=1, dtype=jnp.int32)
    size = min(_BLOCK, num_gallery)
    rows = jnp.arange(num_queries)[:, None]

    def wrong_ahead(threshold: Array) -> Array:
        return jnp.sum(wrong_similarities >= threshold[:, None], axis=1, dtype=jnp.int32)

    def block(carry):
        remaining, begin, step, trapezoid, first_rank = carry
        most_similar, columns = jax.lax.top_k(remaining, size)
        place = begin + 1 + jnp.arange(size, dtype=jnp.int32)  # among the right answers, from 1
        rank = place + jax.lax.map(wrong_ahead, most_similar.T).T
        is_right = place <= num_found[:, None]
        numerator = place.astype(similarities.dtype)
        precision = jnp.where(is_right, numerator / rank, 0)
        before = jnp.where(is_right, jnp.where(rank == 1, 1, (numerator - 1) / jnp.maximum(rank - 1, 1)), 0)
        return (
            remaining.at[rows, columns].set(-jnp.inf),
            begin + size,
            step + precision.sum(axis=1),
            trapezoid + ((before + precision) / 2).sum(axis=1),
            jnp.minimum(first_rank, jnp.where(is_right, rank, _NEVER).min(axis=1)),
        )

    zeros = jnp.zeros(num_queries, similarities.dtype)
    start = (jnp.where(found, similarities, -jnp.inf), jnp.int32(0), zeros, zeros, jnp.full(num_queries, _NEVER, jnp.int32))
    _, _, step, trapezoid, first_rank = jax.lax.while_loop(lambda carry: carry[1] < num_found.max(), block, start)
    divisor = jnp.maximum(num_right, 1)
    return QueryScores(step / divisor, trapezoid / divisor, first_rank, num_right)


@functools.partial(jax.jit, static_argnames="ranks")
def mean_scores(scores: QueryScores, is_query: Array, ranks: tuple[int, ...]) -> dict[str, Array]:
    """The result of `retrieval_scores` from what is said of every query; `is_query` is bool `[Q]`, see `asked`."""
    counted = is_query & (scores.num_right > 0)
    num_queries = counted.sum(dtype=jnp.int32)

    def mean(values: Array) -> Array:
        return jnp.where(counted, values, 0).sum(dtype=scores.step.dtype) / jnp.maximum(num_queries, 1)

    return {
        "mAP_step": mean(scores.step),
        "mAP_trapezoid": mean(scores.trapezoid),
        **{f"rank_{rank}": mean(scores.first_rank <= rank) for rank in ranks},
        "num_queries": num_queries,
        "num_skipped_queries": is_query.sum(dtype=jnp.int32) - num_queries,
    }


def asked(query_ids: Array, query_mask: Array | None) -> Array:
    """Which rows are queries, bool `[Q]`: neither junk nor masked."""
    return jnp.asarray(query_ids != JUNK) if query_mask is None else (query_ids != JUNK) & query_mask


def chunk_size(num_gallery: int) -> int:
    """Queries that are compared with the gallery at once, where it is not said."""
    return max(1, _CHUNK_ELEMENTS // num_gallery)


def check_arguments(
    query_features: Array,
    gallery_features: Array,
    query_cameras: Array | None,
    gallery_cameras: Array | None,
    ranks: tuple[int, ...],
    chunk: int | None,
) -> None:
    """Refuses what cannot be meant.

    Raises:
      UserError: for no queries or an empty gallery, for features of different length, for cameras on one side only, for ranks or
        a chunk below 1.
    """
    if not len(query_features) or not len(gallery_features):
        raise UserError(
            f"retrieval needs images: there are {len(query_features)} queries, {len(gallery_features)} in the gallery"
        )
    if query_features.shape[1] != gallery_features.shape[1]:
        raise UserError(f"query features have length {query_features.shape[1]}, gallery features {gallery_features.shape[1]}")
    if (query_cameras is None) != (gallery_cameras is None):
        raise UserError("cameras must be given for the queries and the gallery, or for neither")
    if any(rank < 1 for rank in ranks):
        raise UserError(f"ranks count from 1, not {min(ranks)}")
    if chunk is not None and chunk < 1:
        raise UserError(f"chunk must be at least 1, not {chunk}")
