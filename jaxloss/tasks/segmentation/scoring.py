"""Scores of a segmentation task: all six metrics over a split, and some of them class by class."""

from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.chunks import fold_chunks
from jaxloss.tasks.data.masks.pairs import IMAGE, MASK
from jaxloss.tasks.metrics.segmentation.classes import predicted_classes
from jaxloss.tasks.metrics.segmentation.streaming import Counts, SegmentationMetrics

MEAN_IOU = "mean_iou"

Counter = Callable[[PyTree, Mapping[str, Array]], Counts]


def make_counts(
    predict: Callable[[PyTree, Array], Array], metrics: SegmentationMetrics, evaluation_batch: int, unroll: bool
) -> Counter:
    """`(variables, examples) -> counts` of a split, in chunks, so that memory is bounded by `evaluation_batch` images.

    Args:
      predict: `(variables, images) -> logits [N, H, W, C]`, in evaluation mode, of the size of the images.
      metrics: that are counted for.
      evaluation_batch: the most images at once.
      unroll: see `map_chunks`.
    """

    def counts(variables: PyTree, examples: Mapping[str, Array]) -> Counts:
        def with_chunk(state: Counts, part: Mapping[str, Array], is_example: Array) -> Counts:
            there = is_example[:, None, None]
            predicted = predicted_classes(predict(variables, part[IMAGE]), metrics.num_classes)
            # Of what fills the last chunk up nothing counts: neither its labels nor boundaries that are predicted in it.
            predicted = jnp.where(there, predicted, metrics.num_classes)
            return metrics.update(state, predicted, metrics.prepare(part[MASK], jnp.broadcast_to(there, part[MASK].shape)))

        return fold_chunks(with_chunk, metrics.start(), examples, evaluation_batch, unroll)

    return counts


def make_scores(
    counts: Counter, metrics: SegmentationMetrics, tables: Mapping[str, Mapping[str, str]]
) -> Callable[[PyTree, PyTree], dict[str, Array]]:
    """`(variables, examples) -> {name: scalar}`, all metrics and their values for single classes; jittable.

    Args:
      counts: of a split; see `make_counts`.
      metrics: that are counted for.
      tables: see `class_tables`.
    """

    def scores(variables: PyTree, examples: PyTree) -> dict[str, Array]:
        state = counts(variables, examples)
        values = metrics.of_classes(state)
        single = {name: values[metric][place] for metric, names in tables.items() for place, name in enumerate(names.values())}
        return {**metrics.compute(state), **single}

    return scores


def class_tables(metric: str, class_names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Metrics that are shown class by class, the IoU and the one that is searched: metric -> class -> name of its score.

    Args:
      metric: that is searched.
      class_names: `[C]`.
    """
    # Weighted by their frequency or not, the IoUs of the classes are the same.
    shown = dict.fromkeys(name for name in (MEAN_IOU, metric) if name != "frequency_weighted_iou")
    return {name: {of: f"{name} of {of}" for of in class_names} for name in shown}
