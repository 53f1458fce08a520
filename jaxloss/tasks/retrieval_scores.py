"""Scores of a retrieval task: features of all images, and the metrics of queries against the gallery."""

from collections.abc import Callable, Mapping

import numpy as np

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.chunks import map_chunks
from jaxloss.tasks.metrics.reranking import RerankingSettings, reranked_scores
from jaxloss.tasks.metrics.retrieval import recalls, retrieval_scores
from jaxloss.tasks.metrics.verification import VERIFICATION, verification_scores
from jaxloss.tasks.models.cosine import CosineClassifiers

RANKS = (1, 2, 4, 5, 8, 10)
RECALLS = tuple(f"recall_{rank}" for rank in RANKS)
METRICS = ("mAP_step", "mAP_trapezoid", *(f"rank_{rank}" for rank in RANKS), *RECALLS, *VERIFICATION)


def make_features(
    module: CosineClassifiers, prepare: Callable[[Array], Array], evaluation_batch: int, flip_test: bool, unroll: bool
) -> Callable[[PyTree, Array], Array]:
    """`(variables, images) -> [M, F]`, in chunks, so that memory is bounded by `evaluation_batch` images."""

    def features(variables: PyTree, images: Array) -> Array:
        def of_chunk(part: Array) -> Array:
            prepared = prepare(part)
            found = module.apply(variables, prepared, train=False)[0].feature
            if flip_test:
                found = found + module.apply(variables, prepared[:, :, ::-1], train=False)[0].feature
            return found

        return map_chunks(of_chunk, images, evaluation_batch, unroll)

    return features


def _both_roles(vectors: Array, examples: Mapping[str, Array]) -> dict[str, Array]:
    """Arguments of the metrics for a set whose images are query and gallery at once, as the masks say."""
    both = {"features": vectors, "ids": examples["identity"], "cameras": examples["camera"]}
    roles = {f"{role}_{name}": array for role in ("query", "gallery") for name, array in both.items()}
    return {**roles, "query_mask": examples["query"], "gallery_mask": examples["gallery"]}


def make_scores(
    features: Callable[[PyTree, Array], Array], has_cameras: bool, verifies: bool = False
) -> Callable[[PyTree, PyTree], Mapping[str, Array]]:
    """`(variables, examples) -> {name: scalar}`, see `metrics.retrieval`; jittable. Without cameras recalls are named besides.

    Where it `verifies`, the scores of `metrics.verification` are there too.
    """

    def scores(variables: PyTree, examples: Mapping[str, Array]) -> Mapping[str, Array]:
        vectors = features(variables, examples["image"])
        found = retrieval_scores(**_both_roles(vectors, examples), ranks=RANKS)
        if verifies:
            found = {**found, **verification_scores(vectors, examples["identity"])}
        return found if has_cameras else {**found, **recalls(found)}

    return scores


def reranked(
    features: Callable[[PyTree, Array], Array], settings: RerankingSettings, variables: PyTree, examples: Mapping[str, Array]
) -> dict[str, float]:
    """The metrics after re-ranking, under their names with `reranked_` before them."""
    vectors = np.asarray(features(variables, examples["image"]))
    found = reranked_scores(**_both_roles(vectors, examples), same_images=True, settings=settings, ranks=RANKS)
    return {f"reranked_{name}": float(value) for name, value in found.items()}
