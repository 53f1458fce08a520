"""From proposals, and what the second stage says of them, to boxes, scores and classes."""

import dataclasses

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.detection.nms import Detections, suppress_all
from jaxloss.tasks.models.detection.two_stage import SecondStage
from jaxloss.tasks.two_stage_detection.coding import BoxCoding, clip


@dataclasses.dataclass(frozen=True)
class RegionDecoder:
    """Makes detections of the outputs of the second stage.

    Attributes:
      coding: of its deltas.
      image_size: (height, width) that boxes are cut to.
      minimum_score: probability of a class that a region needs to be looked at.
      maximum_iou: of two boxes of a class that are both kept.
      most: detections of an image.
      candidates: the surest pairs of region and class that go into the suppression.
    """

    coding: BoxCoding
    image_size: tuple[int, int]
    minimum_score: float
    maximum_iou: float
    most: int
    candidates: int

    def __call__(self, boxes: Array, valid: Array, outputs: SecondStage) -> Detections:
        """What is found in each image of a batch, `[N, M, ...]`; what is not a number is not found.

        Args:
          boxes: the proposals, float `[N, R, 4]` in pixels.
          valid: bool `[N, R]`, False for padding.
          outputs: of the second stage.
        """
        # Background is the last class.
        scores = jax.nn.softmax(outputs.logits)[..., :-1]
        usable = valid[..., None] & jnp.isfinite(scores) & jnp.all(jnp.isfinite(outputs.deltas), axis=-1)
        deltas = jnp.where(usable[..., None], outputs.deltas, 0)
        found = clip(self.coding.decode(boxes[:, :, None], deltas), self.image_size)
        scores = jnp.where(usable, scores, 0)
        return suppress_all(found, scores, self.minimum_score, self.maximum_iou, self.most, self.candidates)
