"""Metrics of semantic segmentation by name: which counts each is made of, and how.

Every metric is a weighted mean over the classes, `sum_c w_c v_c / sum_c w_c`, and 0 where no class has a weight.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax.numpy as jnp

from jaxloss.core.errors import unknown
from jaxloss.core.types import Array
from jaxloss.tasks.metrics.segmentation import sample_counts as counts
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.targets import SegmentationTargets

# `(counts of classes) -> (values [C], weights [C])`, both float32.
Formula = Callable[..., tuple[Array, Array]]


@dataclasses.dataclass(frozen=True)
class SegmentationMetric:
    """One metric in `[0, 1]`, the higher the better.

    Attributes:
      name: as used in configs and tables.
      title: as people write it, with `{trimap_width}` and `{tolerance}` where they are part of what is measured.
      count: `(predicted classes, targets, num_classes, rule) -> {name: int32 [N, C]}`, see `sample_counts`.
      reads: names of the counts that the formula takes, in its order.
      formula: `(*counts float32 [C]) -> (values [C], weights [C])`.
    """

    name: str
    title: str
    count: Callable[[Array, SegmentationTargets, int, BoundaryRule], Mapping[str, Array]]
    reads: tuple[str, ...]
    formula: Formula

    def of_classes(self, totals: Mapping[str, Array]) -> tuple[Array, Array]:
        """Value and weight of each class, float32 `[C]` each; a value of weight 0 means nothing.

        Args:
          totals: name of a count -> float32 `[C]`.
        """
        return self.formula(*(totals[name] for name in self.reads))

    def score(self, totals: Mapping[str, Array]) -> Array:
        """The metric, a scalar; arguments as of `of_classes`."""
        values, weights = self.of_classes(totals)
        return _share(jnp.where(weights > 0, values * weights, 0).sum(), weights.sum())


def find_metric(name: str) -> SegmentationMetric:
    """Looks a metric up by name.

    Raises:
      UserError: for an unknown name; lists the known ones.
    """
    if name not in METRICS:
        raise unknown("metric of segmentation", name, METRICS)
    return METRICS[name]


def metric_title(name: str, rule: BoundaryRule) -> str:
    """A metric as people write it, its distances included: `boundary IoU (trimap, 5 pixels)`."""
    return find_metric(name).title.format(trimap_width=rule.trimap_width, tolerance=rule.tolerance)


def _share(part: Array, whole: Array) -> Array:
    """part / whole, 0 where there is nothing."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), 0)


def _union(right: Array, true: Array, predicted: Array) -> Array:
    return true + predicted - right


def _some(count: Array) -> Array:
    return (count > 0).astype(jnp.float32)


def _iou(right: Array, true: Array, predicted: Array) -> tuple[Array, Array]:
    # A class that is predicted and never true occurs, with an IoU of 0; one that is neither has no union.
    union = _union(right, true, predicted)
    return _share(right, union), _some(union)


def _iou_by_frequency(right: Array, true: Array, predicted: Array) -> tuple[Array, Array]:
    return _share(right, _union(right, true, predicted)), true


def _accuracy_by_frequency(right: Array, true: Array) -> tuple[Array, Array]:
    return _share(right, true), true


def _accuracy(right: Array, true: Array) -> tuple[Array, Array]:
    return _share(right, true), _some(true)


def _f1(true: Array, predicted: Array, recalled: Array, precise: Array) -> tuple[Array, Array]:
    precision, recall = _share(precise, predicted), _share(recalled, true)
    return _share(2 * precision * recall, precision + recall), _some(true)


METRICS: Mapping[str, SegmentationMetric] = {
    metric.name: metric
    for metric in (
        SegmentationMetric("mean_iou", "mIoU", counts.region_counts, counts.REGION, _iou),
        SegmentationMetric("frequency_weighted_iou", "FWIoU", counts.region_counts, counts.REGION, _iou_by_frequency),
        SegmentationMetric(
            "global_accuracy", "global accuracy", counts.region_counts, (counts.RIGHT, counts.TRUE), _accuracy_by_frequency
        ),
        SegmentationMetric("mean_accuracy", "mean accuracy", counts.region_counts, (counts.RIGHT, counts.TRUE), _accuracy),
        SegmentationMetric("boundary_iou", "boundary IoU (trimap, {trimap_width} pixels)", counts.band_counts, counts.BAND, _iou),
        SegmentationMetric("boundary_f1", "boundary F1 (within {tolerance} pixels)", counts.edge_counts, counts.EDGE, _f1),
    )
}
