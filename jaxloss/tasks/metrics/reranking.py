"""k-reciprocal re-ranking: who has the same neighbours is more alike than the features alone say.

On the host, after a training, for figures reported 'with re-ranking'. The published algorithm, on all images (queries, then
gallery; one that is both stands there once) with distances d(i, j) = (2 - 2 cos) / (the largest such distance of i):

1. R(i): the j among the k1 nearest of i, and i itself, that have i among theirs.
2. R*(i): R(i) and, of each c in R(i), the same set R_h(c) for h = k1 / 2 (rounded half to even), where R(i) holds enough of it.
3. V[i, j] = exp(-d(i, j)) on R*(i), divided by its sum; then the mean of V over the k2 nearest of i (i is one of them).
4. Jaccard distance 1 - sum_x min(V[q, x], V[g, x]) / sum_x max(V[q, x], V[g, x]), mixed with d(q, g).

'Enough' is `more_than` two thirds, as in the published code, or `at_least` two thirds, as in the text.

Only the lists of neighbours and V are held, both sparse; the distances of queries to the gallery come in chunks of queries. Equal
distances are taken in the order of the images. An image whose features are not finite has no neighbours and distance NaN, which
`retrieval` never counts in its favour.

References:
  Z. Zhong et al.: Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR 2017, Sections 3.2 to 3.4.
"""

import dataclasses
import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.types import Array
from jaxloss.tasks.metrics.retrieval import (
    answers,
    asked,
    check_arguments,
    chunk_size,
    cosines,
    mean_scores,
    normalise,
    score_queries,
)

EXPANSIONS = ("more_than", "at_least")
# Rows of the sparse matrices, and single distances, that are worked on at once.
ROWS_AT_ONCE = 4096
PAIRS_AT_ONCE = 2**16


@dataclasses.dataclass(frozen=True)
class RerankingSettings:
    """The settings of the algorithm, with the published values.

    Attributes:
      k1: neighbours that may be reciprocal.
      k2: neighbours over which the encoding is averaged, the image itself included; 1 for no averaging.
      distance_weight: lambda, the weight of the original distance, in [0, 1]; 1 gives the original ranking.
      expansion: how much of a neighbour's set must be shared, `more_than` or `at_least` two thirds.
    """

    k1: int = 20
    k2: int = 6
    distance_weight: float = 0.3
    expansion: str = "more_than"

    def __post_init__(self):
        if self.k1 < 1 or self.k2 < 1:
            raise UserError(f"k1 and k2 of the re-ranking must be at least 1, not {self.k1} and {self.k2}")
        if not 0 <= self.distance_weight <= 1:
            raise UserError(f"distance_weight of the re-ranking must be in [0, 1], not {self.distance_weight}")
        if self.expansion not in EXPANSIONS:
            raise unknown("expansion of the re-ranking", self.expansion, EXPANSIONS)


def reranked_scores(
    query_features: np.ndarray,
    gallery_features: np.ndarray,
    query_ids: np.ndarray,
    gallery_ids: np.ndarray,
    query_cameras: np.ndarray | None = None,
    gallery_cameras: np.ndarray | None = None,
    *,
    query_mask: np.ndarray | None = None,
    gallery_mask: np.ndarray | None = None,
    same_images: bool = False,
    settings: RerankingSettings | None = None,
    ranks: tuple[int, ...] = (1, 5, 10),
    chunk: int | None = None,
) -> dict[str, float]:
    """`retrieval.retrieval_scores` after re-ranking, under the same rules and names, on the host.

    Junk is removed beforehand: it is nobody's neighbour. Distractors stay, and so do images of the query's own camera.

    Args:
      query_features: float `[Q, F]`, likewise the other arrays: see `retrieval_scores`.
      gallery_features: float `[G, F]`.
      query_ids: int `[Q]`.
      gallery_ids: int `[G]`.
      query_cameras: int `[Q]`, or None.
      gallery_cameras: int `[G]`, or None.
      query_mask: bool `[Q]`, False for what is no query; None for all True.
      gallery_mask: bool `[G]`, likewise.
      same_images: whether row i of the queries and row i of the gallery are one image, which is its own neighbour once and never
        its own answer.
      settings: of the re-ranking; None for the published ones.
      ranks: at which CMC is given.
      chunk: queries at once; None for as many as have 4 million distances.

    Raises:
      UserError: see `retrieval.check_arguments`; for `same_images` with different numbers.
    """
    if same_images and len(query_ids) != len(gallery_ids):
        raise UserError(f"same_images needs as many queries as gallery images, not {len(query_ids)} and {len(gallery_ids)}")
    is_query, is_kept = (np.asarray(asked(*pair)) for pair in ((query_ids, query_mask), (gallery_ids, gallery_mask)))
    query_ids, gallery_ids = np.asarray(query_ids)[is_query], np.asarray(gallery_ids)[is_kept]
    query_cameras = None if query_cameras is None else np.asarray(query_cameras)[is_query]
    gallery_cameras = None if gallery_cameras is None else np.asarray(gallery_cameras)[is_kept]
    query_features, gallery_features = np.asarray(query_features), np.asarray(gallery_features)[is_kept]
    check_arguments(query_features[is_query], gallery_features, query_cameras, gallery_cameras, ranks, chunk)
    if same_images:
        features = query_features[is_query | is_kept]
        place = np.cumsum(is_query | is_kept) - 1
        query_rows, gallery_rows = place[is_query], place[is_kept]
    else:
        features = np.concatenate([query_features[is_query], gallery_features])
        query_rows, gallery_rows = np.split(np.arange(len(features)), [is_query.sum()])
    parts = []
    for rows, distances in _reranked(features, query_rows, gallery_rows, settings, chunk):
        cameras = None if query_cameras is None else query_cameras[rows]
        others = query_rows[rows, None] != gallery_rows
        parts.append(_score_chunk(distances, others, query_ids[rows], gallery_ids, cameras, gallery_cameras))
    scores = jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)
    return {name: float(value) for name, value in mean_scores(scores, np.ones(len(query_ids), bool), ranks).items()}


@jax.jit
def _score_chunk(distances, others, query_ids, gallery_ids, query_cameras, gallery_cameras):
    right, wrong = answers(query_ids, gallery_ids, query_cameras, gallery_cameras)
    return score_queries(-distances, right & others, wrong)


def reranked_distances(
    query_features: np.ndarray, gallery_features: np.ndarray, settings: RerankingSettings | None = None, chunk: int | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Re-ranked distances, in chunks of queries.

    Args:
      query_features: float `[Q, F]`; need not be normalised.
      gallery_features: float `[G, F]`.
      settings: None for the published ones.
      chunk: queries at once; None for as many as have 4 million distances.

    Yields:
      Which queries, and their float32 distances `[chunk, G]` in `[0, 1]`; NaN where features are not finite.

    Raises:
      UserError: for no queries or an empty gallery, for features of different length, for a chunk below 1.
    """
    check_arguments(query_features, gallery_features, None, None, (), chunk)
    features = np.concatenate([np.asarray(query_features), np.asarray(gallery_features)])
    yield from _reranked(features, *np.split(np.arange(len(features)), [len(query_features)]), settings, chunk)


def _reranked(
    features: np.ndarray,
    query_rows: np.ndarray,
    gallery_rows: np.ndarray,
    settings: RerankingSettings | None,
    chunk: int | None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """`reranked_distances` of images `[N, F]`, of which some are queries, some are in the gallery, and some may be both."""
    settings = settings or RerankingSettings()
    num_queries, num_gallery = len(query_rows), len(gallery_rows)
    features = np.array(normalise(features))
    broken = ~np.isfinite(features).all(axis=1)
    features[broken] = 0
    count = min(max(settings.k1 + 1, settings.k2), len(features))
    nearest, farthest = _neighbours(features, count)
    nearest[broken] = -1
    encoding = _encoding(features, nearest, farthest, settings)
    queries = encoding[query_rows]
    gallery = encoding[gallery_rows].tocsc()
    gallery_features = jnp.asarray(features[gallery_rows])
    size = chunk or chunk_size(num_gallery)
    for begin in range(0, num_queries, size):
        rows = slice(begin, min(begin + size, num_queries))
        shared = _shared(queries[rows], gallery)
        images = query_rows[rows]
        distances = np.array(_distances(features[images], gallery_features, farthest[images]))
        distances *= settings.distance_weight
        # Rows of the encoding add up to 1, so that the sum of the maxima is 2 - that of the minima.
        distances += (1 - settings.distance_weight) * (1 - shared / (2 - shared))
        distances[broken[images]] = np.nan
        distances[:, broken[gallery_rows]] = np.nan
        yield rows, distances


@jax.jit
def _distances(some: Array, features: Array, farthest: Array) -> Array:
    return jnp.maximum(2 - 2 * cosines(some, features), 0) / farthest[:, None]


@functools.partial(jax.jit, static_argnames="count")
def _nearest(some: Array, features: Array, count: int) -> tuple[Array, Array]:
    distances = jnp.maximum(2 - 2 * cosines(some, features), 0)
    return jax.lax.top_k(-distances, count)[1], distances.max(axis=1)


def _neighbours(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of every image, int32 `[N, count]`, nearest first, and the largest distance of every image, `[N]`."""
    on_device, size = jnp.asarray(features), chunk_size(len(features))
    parts = [_nearest(features[begin : begin + size], on_device, count) for begin in range(0, len(features), size)]
    nearest, farthest = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return nearest, np.where(farthest > 0, farthest, 1)


def _lists(nearest: np.ndarray) -> sparse.csr_array:
    """Lists of neighbours as a matrix of ones, `[N, N]`; entries below 0 are left out."""
    rows = np.repeat(np.arange(len(nearest), dtype=np.int32), nearest.shape[1])
    columns = nearest.ravel()
    listed = columns >= 0
    ones = np.ones(listed.sum(), np.int32)
    return sparse.csr_array((ones, (rows[listed], columns[listed])), shape=(len(nearest), len(nearest)))


def _reciprocal(nearest: np.ndarray) -> sparse.csr_array:
    lists = _lists(nearest)
    return (lists * lists.T).tocsr()


def _encoding(features: np.ndarray, nearest: np.ndarray, farthest: np.ndarray, settings: RerankingSettings) -> sparse.csr_array:
    """V of the algorithm, float32 `[N, N]`."""
    reciprocal = _reciprocal(nearest[:, : settings.k1 + 1])
    half = _reciprocal(nearest[:, : int(np.around(settings.k1 / 2)) + 1])
    sizes = half.sum(axis=1)
    parts = []
    for begin in range(0, len(features), ROWS_AT_ONCE):
        own = reciprocal[begin : begin + ROWS_AT_ONCE]
        sets = _expanded(own, half, sizes, settings.expansion).tocoo()
        weights = np.exp(-_pair_distances(features, begin + sets.row, sets.col, farthest)).astype(np.float32)
        weights /= np.bincount(sets.row, weights, minlength=own.shape[0])[sets.row].astype(np.float32)
        parts.append(sparse.csr_array((weights, (sets.row, sets.col)), shape=own.shape))
    encoding = sparse.vstack(parts, format="csr")
    if settings.k2 == 1:
        return encoding
    averaged = _lists(nearest[:, : settings.k2]).astype(np.float32) / np.float32(min(settings.k2, nearest.shape[1]))
    return (averaged @ encoding).tocsr()


def _expanded(own: sparse.csr_array, half: sparse.csr_array, sizes: np.ndarray, expansion: str) -> sparse.csr_array:
    """R* for some rows of R: a matrix that is not 0 where j belongs to R*(i)."""
    # How many of R_h(c) are in R(i), for c in R(i): at least c itself, so that no such pair is lost.
    shared = (own * (own @ half.T)).tocoo()
    shares, wholes = 3 * shared.data, 2 * sizes[shared.col]
    joins = shares > wholes if expansion == "more_than" else shares >= wholes
    joining = sparse.csr_array((shared.data[joins], (shared.row[joins], shared.col[joins])), shape=own.shape)
    return own + joining @ half


def _pair_distances(features: np.ndarray, rows: np.ndarray, columns: np.ndarray, farthest: np.ndarray) -> np.ndarray:
    """Distances of single pairs, float `[P]`."""
    similarities = [
        np.einsum("pf,pf->p", features[rows[begin : begin + PAIRS_AT_ONCE]], features[columns[begin : begin + PAIRS_AT_ONCE]])
        for begin in range(0, len(rows), PAIRS_AT_ONCE)
    ]
    return np.maximum(2 - 2 * np.concatenate([*similarities, np.zeros(0, features.dtype)]), 0) / farthest[rows]


def _shared(queries: sparse.csr_array, gallery: sparse.csc_array) -> np.ndarray:
    """Sum over x of min(V[q, x], V[g, x]), float32 `[Q, G]`; the gallery is given by columns."""
    shared = np.zeros((queries.shape[0], gallery.shape[0]), np.float32)
    for row in range(queries.shape[0]):
        entries = slice(queries.indptr[row], queries.indptr[row + 1])
        begins, ends = gallery.indptr[queries.indices[entries]], gallery.indptr[queries.indices[entries] + 1]
        lengths = ends - begins
        # Places in the columns of all x of this query, one column behind the other.
        places = np.arange(lengths.sum()) + np.repeat(begins - (np.cumsum(lengths) - lengths), lengths)
        smaller = np.minimum(gallery.data[places], np.repeat(queries.data[entries], lengths))
        shared[row] = np.bincount(gallery.indices[places], smaller, minlength=gallery.shape[0])
    return shared
