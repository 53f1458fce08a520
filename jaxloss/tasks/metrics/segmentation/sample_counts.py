"""Counts of pixels, sample by sample, of which all metrics are made."""

from collections.abc import Mapping

from jaxloss.core.types import Array
from jaxloss.core.windows import any_within
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.classes import class_bits, count_classes, has_class
from jaxloss.tasks.metrics.segmentation.targets import SegmentationTargets

# Names of the counts; `right` are those of one class that are predicted as it.
REGION = RIGHT, TRUE, PREDICTED = ("right", "true", "predicted")
BAND = BAND_RIGHT, BAND_TRUE, BAND_PREDICTED = ("band_right", "band_true", "band_predicted")
EDGE = EDGE_TRUE, EDGE_PREDICTED, EDGE_RECALLED, EDGE_PRECISE = ("edge_true", "edge_predicted", "edge_recalled", "edge_precise")


def region_counts(
    predicted: Array, targets: SegmentationTargets, num_classes: int, rule: BoundaryRule | None = None
) -> Mapping[str, Array]:
    """The valid positions of each class, true, predicted and both, as `REGION` names them.

    Args:
      predicted: int `[N, H, W]`, see `classes.predicted_classes`.
      targets: of the same positions.
      num_classes: `C`.
      rule: not read.

    Returns:
      Name -> int32 `[N, C]`.
    """
    del rule
    return dict(zip(REGION, _overlap(predicted, targets, targets.valid, num_classes), strict=True))


def band_counts(
    predicted: Array, targets: SegmentationTargets, num_classes: int, rule: BoundaryRule | None = None
) -> Mapping[str, Array]:
    """As `region_counts`, of the positions in the trimap, as `BAND` names them."""
    del rule
    return dict(zip(BAND, _overlap(predicted, targets, targets.band, num_classes), strict=True))


def edge_counts(predicted: Array, targets: SegmentationTargets, num_classes: int, rule: BoundaryRule) -> Mapping[str, Array]:
    """The positions on the boundary of each class, as `EDGE` names them.

    Those of the true labels and how many of them have a predicted one of their class within the tolerance (`edge_recalled`);
    those of the prediction and how many of them have a true one (`edge_precise`).

    Args:
      predicted: int `[N, H, W]`, see `classes.predicted_classes`.
      targets: of the same positions.
      num_classes: `C`.
      rule: with which the targets were prepared.

    Returns:
      Name -> int32 `[N, C]`.
    """
    edges = rule.edges(predicted, num_classes, targets.valid)
    near = any_within(class_bits(predicted, edges, num_classes), rule.tolerance)
    recalled = targets.edges & has_class(near, targets.classes)
    precise = edges & has_class(targets.near, predicted)
    return {
        EDGE_TRUE: count_classes(targets.classes, targets.edges, num_classes),
        EDGE_PREDICTED: count_classes(predicted, edges, num_classes),
        EDGE_RECALLED: count_classes(targets.classes, recalled, num_classes),
        EDGE_PRECISE: count_classes(predicted, precise, num_classes),
    }


def _overlap(predicted: Array, targets: SegmentationTargets, counted: Array, num_classes: int) -> tuple[Array, Array, Array]:
    right = counted & (predicted == targets.classes)
    return tuple(
        count_classes(classes, chosen, num_classes)
        for classes, chosen in ((predicted, right), (targets.classes, counted), (predicted, counted))
    )
