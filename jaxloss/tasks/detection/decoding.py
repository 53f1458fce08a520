"""From the outputs of a network to boxes, scores and classes."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxloss.core.boxes import around
from jaxloss.core.types import Array
from jaxloss.tasks.detection.assignment import shows
from jaxloss.tasks.detection.locations import Locations
from jaxloss.tasks.detection.nms import Detections, suppress_all
from jaxloss.tasks.models.detection.network import DetectionOutputs


@dataclasses.dataclass(frozen=True, eq=False)
class Decoder:
    """Makes detections of outputs.

    Attributes:
      locations: of the outputs.
      probability: of logits `[..., C]`.
      num_classes: without background, whose probability, where there is one, is the last.
      minimum_score: probability of a class that a location needs to be looked at.
      maximum_iou: of two boxes of a class that are both kept.
      most: detections of an image.
      candidates: the surest pairs of location and class that go into the suppression.
    """

    locations: Locations
    probability: Callable[[Array], Array]
    num_classes: int
    minimum_score: float
    maximum_iou: float
    most: int
    candidates: int

    def boxes(self, distances: Array, content: Array) -> Array:
        """Boxes `[N, L, 4]` in pixels, cut to the images `content` `[N, 4]`, of distances `[N, L, 4]` in strides."""
        points, strides = self.locations.points, self.locations.strides[:, None]
        boxes = jnp.concatenate([points, points], axis=-1)[None] + around(distances) * strides
        first, last = (jnp.concatenate([corner, corner], axis=-1)[:, None] for corner in (content[:, :2], content[:, 2:]))
        return jnp.clip(boxes, first, last)

    def __call__(self, outputs: DetectionOutputs, content: Array) -> Detections:
        """What is found in each image of a batch, `[N, M, ...]`.

        The score is the root of the product of the class's probability and the quality of the box, as in the code of FCOS. What
        is not a number is not found, and nothing is in padding.

        Args:
          outputs: of the network.
          content: `[N, 4]`, the part of each image that is no padding.
        """
        classes = self.probability(outputs.logits)[..., : self.num_classes]
        quality = jax.nn.sigmoid(outputs.quality)[..., None]
        scores = jnp.where(classes > self.minimum_score, jnp.sqrt(classes * quality), 0)
        usable = jnp.all(jnp.isfinite(outputs.distances), axis=-1, keepdims=True) & jnp.isfinite(scores)
        usable &= jax.vmap(functools.partial(shows, self.locations))(content)[..., None]
        boxes = self.boxes(jnp.where(usable[..., :1], outputs.distances, 0), content)
        return suppress_all(boxes, jnp.where(usable, scores, 0), 0.0, self.maximum_iou, self.most, self.candidates)
