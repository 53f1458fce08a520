"""Seconds and memory of the retrieval metrics on a large gallery, or those of k-reciprocal re-ranking.

    python -m experiments.benchmarks.retrieval --queries 20000 --gallery 100000 --json OUT.json
    python -m experiments.benchmarks.retrieval --rerank --queries 3368 --gallery 15913 --json OUT.json

Features are identity centres with noise, drawn from a seed. `counting` is how the framework ranks; `sorting`, for the first few
queries, sorts every gallery by similarity, as most implementations do, and gives the same scores. Seconds are wall-clock, without
compilation for `counting`, and `cpu_seconds` those of all cores together; where other work is running the latter say more. A
few queries against the whole gallery say what many would take. Peak memory is that of the whole process so far, the features
included: a later way never shows less than an earlier one.
"""

import argparse
import functools
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import common
from jaxloss.core.types import Array
from jaxloss.tasks.metrics.reranking import reranked_scores
from jaxloss.tasks.metrics.retrieval import answers, normalise, retrieval_scores

COLUMNS = (
    "way",
    "queries",
    "gallery",
    "seconds",
    "cpu_seconds",
    "ms_per_query",
    "peak_memory_mib",
    "temporary_mib",
    "mAP_step",
    "rank_1",
)
_NUM_CAMERAS = 6
_NOISE = 3.0


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=common.positive, default=20_000)
    parser.add_argument("--gallery", type=common.positive, default=100_000, help="images in the gallery")
    parser.add_argument("--features", type=common.positive, default=512, help="length of a feature")
    parser.add_argument("--identities", type=common.positive, default=1500)
    parser.add_argument("--chunk", type=common.positive, help="queries at once, by default as many as suit the gallery")
    parser.add_argument("--sorted", type=int, default=64, help="queries that are ranked by sorting too, 0 for none")
    parser.add_argument("--rerank", action="store_true", help="measure re-ranking in place of the metrics alone")
    parser.add_argument("--seed", type=common.whole, default=0)
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)

    generator = np.random.default_rng(options.seed)
    centres = generator.standard_normal((options.identities, options.features), dtype=np.float32)
    query, gallery = (_images(generator, centres, count) for count in (options.queries, options.gallery))
    before = _peak_mib()
    extra = {}
    if options.rerank:
        reranked = functools.partial(reranked_scores, chunk=options.chunk)
        rows = [_measured("reranking", reranked, query, gallery)[0]]
    else:
        counting = jax.jit(functools.partial(retrieval_scores, chunk=options.chunk))
        with common.without_compilation_cache():
            compiled, compile_seconds = common.timed(lambda: counting.lower(*_arguments(query, gallery)).compile())
        row, scores = _measured("counting", compiled, query, gallery)
        temporary = compiled.memory_analysis().temp_size_in_bytes / 2**20
        rows = [{**row, "compile_seconds": compile_seconds, "temporary_mib": temporary}]
        if options.sorted:
            few = tuple(array[: options.sorted] for array in query)
            row, found = _measured("sorting", _sorted_scores, few, gallery)
            rows.append(row)
            scores = scores if options.sorted >= options.queries else counting(*_arguments(few, gallery))
            extra["largest_difference"] = max(abs(float(scores[name]) - value) for name, value in found.items())
    results = {
        **common.facts(),
        "setting": {**vars(options), "json": None, "cameras": _NUM_CAMERAS, "noise": _NOISE},
        "peak_memory_mib_with_the_data_alone": before,
        "rows": rows,
        **extra,
    }
    common.show_table(f"retrieval, {results['device']}", COLUMNS, [[row.get(name) for name in COLUMNS] for row in rows])
    if options.json:
        common.write_json(options.json, results)


def _images(generator: np.random.Generator, centres: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, identities and cameras of so many images."""
    ids = generator.integers(len(centres), size=count)
    features = generator.standard_normal((count, centres.shape[1]), dtype=np.float32)
    features *= _NOISE
    features += centres[ids]
    return features, ids.astype(np.int32), generator.integers(_NUM_CAMERAS, size=count).astype(np.int32)


def _arguments(query: Sequence[np.ndarray], gallery: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [array for pair in zip(query, gallery, strict=True) for array in pair]


def _measured(
    way: str, score: Callable[..., dict[str, Any]], query: Sequence[np.ndarray], gallery: Sequence[np.ndarray]
) -> tuple[dict[str, Any], dict[str, float]]:
    begin = time.process_time()
    scores, seconds = common.timed(lambda: score(*_arguments(query, gallery)))
    cpu_seconds = time.process_time() - begin
    scores = {name: float(value) for name, value in scores.items()}
    sizes = {"queries": len(query[0]), "gallery": len(gallery[0])}
    times = {"seconds": seconds, "cpu_seconds": cpu_seconds, "ms_per_query": 1000 * seconds / len(query[0])}
    return {"way": way, **sizes, **times, "peak_memory_mib": _peak_mib(), **scores}, scores


def _peak_mib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _sorted_scores(
    query_features: Array,
    gallery_features: Array,
    query_ids: Array,
    gallery_ids: Array,
    query_cameras: Array,
    gallery_cameras: Array,
) -> dict[str, Array]:
    """`mAP_step` and `rank_1` by sorting the whole gallery for every query, wrong answers first among equals."""

    @jax.jit
    def score(queries, gallery, ids, cameras):
        similarities = jnp.matmul(queries, gallery.T, precision=jax.lax.Precision.HIGHEST)
        right, wrong = answers(ids, gallery_ids, cameras, gallery_cameras)
        keys = jnp.where(right | wrong, -similarities, jnp.inf)
        right = jax.lax.sort((keys, right.astype(jnp.int32)), num_keys=2)[1]
        precision = jnp.cumsum(right, axis=1) / (1 + jnp.arange(right.shape[1]))
        count = right.sum(axis=1)
        return jnp.sum(right * precision, axis=1) / jnp.maximum(count, 1), right[:, 0] == 1, count > 0

    gallery = normalise(gallery_features)
    parts = [
        score(
            normalise(query_features[begin : begin + 32]),
            gallery,
            query_ids[begin : begin + 32],
            query_cameras[begin : begin + 32],
        )
        for begin in range(0, len(query_ids), 32)
    ]
    precisions, firsts, counted = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return {"mAP_step": precisions[counted].mean(), "rank_1": firsts[counted].mean()}


if __name__ == "__main__":
    common.run(main)
