"""What a detector of two stages offers to losses: the classes of sampled regions, and the boxes of those that have an object."""

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.boxes import area, overlap
from jaxloss.core.types import Array, LossInputs
from jaxloss.tasks.detection.inputs import AREAS, OF_TARGET, OVERLAP_MEANING, area_meanings, areas_of
from jaxloss.tasks.two_stage_detection.coding import BoxCoding
from jaxloss.tasks.two_stage_detection.regions import Regions

RPN_CLASSIFICATION, RPN_REGRESSION = FIRST_STAGE = ("rpn_classification", "rpn_regression")
RCNN_CLASSIFICATION, RCNN_REGRESSION = SECOND_STAGE = ("rcnn_classification", "rcnn_regression")
CLASSIFICATIONS, REGRESSIONS = (RPN_CLASSIFICATION, RCNN_CLASSIFICATION), (RPN_REGRESSION, RCNN_REGRESSION)
_OF_CLASSES = ("prediction", "target", "logits", "overlap")
_OF_BOXES = (*AREAS, "distances", "target_distances", "deltas", "target_deltas")
OFFERS = {
    RPN_CLASSIFICATION: _OF_CLASSES,
    RPN_REGRESSION: _OF_BOXES,
    RCNN_CLASSIFICATION: _OF_CLASSES,
    RCNN_REGRESSION: _OF_BOXES,
}
RANGES = {name: {"prediction": (0.0, 1.0), "target": (0.0, 1.0), "overlap": (0.0, 1.0)} for name in CLASSIFICATIONS}


def meanings_of(area_unit: str) -> dict[str, dict[str, str]]:
    """What all inputs are, in words, see `Task.meanings`; `area_unit` in `detection.inputs.AREA_UNITS`."""
    classes = {
        "prediction": "probabilities of the classes, background the last, the softmax of the logits",
        "target": "one-hot, background the last class",
        "logits": "logits of the classes, background the last",
        "overlap": OVERLAP_MEANING,
    }
    boxes = {
        **area_meanings(area_unit),
        "distances": "from the middle of a region to the four sides of the predicted box, in roots of the area of the region",
        "target_distances": "the same to those of the true box",
        "deltas": "of the predicted box from its region, as the network gives them",
        "target_deltas": "of the true box",
    }
    return {**dict.fromkeys(CLASSIFICATIONS, classes), **dict.fromkeys(REGRESSIONS, boxes)}


@dataclasses.dataclass(frozen=True)
class StageInputs:
    """Makes the inputs of the losses of one stage, `[N, S, 1, C]`: the sampled regions of an image, positive ones first.

    Sums of both losses are divided by the number of sampled regions of the batch, background included, as in Faster R-CNN.

    Attributes:
      num_classes: `C`, without background, which is a class more, the last; 1 where only objects are told from background.
      coding: of the deltas of its regions.
      area_unit: in `detection.inputs.AREA_UNITS`, but for strides.
    """

    num_classes: int
    coding: BoxCoding
    area_unit: str = OF_TARGET

    def one_hot(self, labels: Array) -> Array:
        """Labels `[..., S]`, -1 for background, as `[..., S, 1, C + 1]`; with one class every label from 0 on is an object."""
        known = jnp.minimum(labels, self.num_classes - 1)
        return jax.nn.one_hot(jnp.where(labels < 0, self.num_classes, known), self.num_classes + 1)[..., None, :]

    def deltas_of(self, deltas: Array, regions: Regions) -> Array:
        """The deltas `[N, S, 4]` of the class that a region has, of `[N, S, C, 4]`; of background those of the first class."""
        if deltas.ndim == 3:
            return deltas
        return jnp.take_along_axis(deltas, jnp.maximum(regions.labels, 0)[..., None, None], axis=2)[:, :, 0]

    def overlaps(self, deltas: Array, regions: Regions) -> Array:
        """IoU of predicted and true boxes, `[N, S, 1, 1]`, without a gradient; 1 for background.

        Args:
          deltas: `[N, S, 4]`.
          regions: that they belong to.
        """
        iou = overlap(self.coding.decode(regions.boxes, deltas), regions.truth).iou
        return lax.stop_gradient(jnp.where(regions.positive, iou, 1))[..., None, None]

    def classification(self, logits: Array, overlaps: Array, regions: Regions) -> LossInputs:
        """`prediction`, `logits` and `target` `[N, S, 1, C + 1]`, `overlap` `[N, S, 1, 1]`.

        Args:
          logits: `[N, S, C + 1]`.
          overlaps: see `overlaps`.
          regions: that they belong to.
        """
        arrays = {
            "prediction": jax.nn.softmax(logits)[:, :, None],
            "target": self.one_hot(regions.labels).astype(logits.dtype),
            "logits": logits[:, :, None],
            "overlap": overlaps,
        }
        return LossInputs.create(arrays, regions.counted[..., None, None], normaliser=_count(regions, logits.dtype))

    def regression(self, deltas: Array, regions: Regions) -> LossInputs:
        """The arrays of positive regions alone: the areas `[N, S, 1, 1]`, and the boxes in two forms, `[N, S, 1, 4]`.

        `intersection`, `union` and `enclosing` of the predicted and the true box; `distances` and `target_distances` from the
        middle of the region to the four sides of these, in roots of the region's area; `deltas` and `target_deltas`.

        Args:
          deltas: `[N, S, 4]`.
          regions: that they belong to.
        """
        boxes = self.coding.decode(regions.boxes, deltas)
        arrays = {
            **areas_of(boxes, regions.truth, self.area_unit),
            "distances": _distances(boxes, regions.boxes),
            "target_distances": _distances(regions.truth, regions.boxes),
            "deltas": deltas[:, :, None],
            "target_deltas": self.coding.encode(regions.boxes, regions.truth)[:, :, None],
        }
        return LossInputs.create(arrays, regions.positive[..., None, None], normaliser=_count(regions, deltas.dtype))


def _count(regions: Regions, dtype: jnp.dtype) -> Array:
    return jnp.sum(regions.counted, dtype=dtype)


def _distances(boxes: Array, regions: Array) -> Array:
    """From the middle of regions to the left, top, right and bottom side of boxes, `[N, S, 1, 4]`."""
    middles = (regions[..., :2] + regions[..., 2:]) / 2
    unit = jnp.sqrt(jnp.maximum(area(regions), 1e-6))[..., None]
    return (jnp.concatenate([middles - boxes[..., :2], boxes[..., 2:] - middles], axis=-1) / unit)[:, :, None]
