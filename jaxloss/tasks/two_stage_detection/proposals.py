"""The first stage's boxes that the second one looks at: the surest of every level, without those that say the same."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxloss.core.types import Array
from jaxloss.tasks.detection.nms import suppress_all
from jaxloss.tasks.two_stage_detection.coding import BoxCoding, clip


@dataclasses.dataclass(frozen=True, eq=False)
class Proposer:
    """Makes proposals of the outputs of the first stage.

    Attributes:
      anchors: float32 `[A, 4]`, level by level.
      levels: int32 `[A]`, their levels, from 0 on.
      coding: of their deltas.
      image_size: (height, width) that boxes are cut to.
      candidates: the surest anchors of each level that go into the suppression.
      maximum_iou: of two boxes of a level that are both kept.
      most: `P`, proposals of an image.

    References:
      S. Ren et al.: Faster R-CNN, NIPS 2015, Section 3.1.3 (0.7); level by level as T.-Y. Lin et al., CVPR 2017, Section 4.1.
    """

    anchors: np.ndarray
    levels: np.ndarray
    coding: BoxCoding
    image_size: tuple[int, int]
    candidates: int
    maximum_iou: float
    most: int

    def __call__(self, scores: Array, deltas: Array) -> tuple[Array, Array]:
        """Boxes `[N, P, 4]` in pixels, the surest first, and where there is one, bool `[N, P]`; without a gradient.

        What has no area inside the image, and what is not a number, is not proposed.

        Args:
          scores: of an object, above 0, `[N, A]`.
          deltas: `[N, A, 4]`.
        """
        scores, deltas = lax.stop_gradient((scores, deltas))
        usable = jnp.all(jnp.isfinite(deltas), axis=-1) & jnp.isfinite(scores)
        boxes = clip(self.coding.decode(self.anchors, jnp.where(usable[..., None], deltas, 0)), self.image_size)
        usable &= jnp.all(boxes[..., 2:] - boxes[..., :2] > 1e-3, axis=-1)
        scores = jnp.where(usable, scores, 0)
        surest = jnp.concatenate([self._surest(scores, own) for own in self._places()], axis=1)
        # The classes that do not touch each other in the suppression are the levels.
        is_level = jax.nn.one_hot(jnp.asarray(self.levels)[surest], len(self._places()))
        own_scores = jnp.take_along_axis(scores, surest, axis=1)[..., None] * is_level
        own_boxes = jnp.take_along_axis(boxes, surest[..., None], axis=1)
        found = suppress_all(own_boxes, own_scores, 0.0, self.maximum_iou, self.most, surest.shape[1])
        return found.boxes, found.scores > 0

    def _places(self) -> Sequence[np.ndarray]:
        """Numbers of the anchors of each level."""
        return [np.flatnonzero(self.levels == level) for level in range(int(self.levels.max()) + 1)]

    def _surest(self, scores: Array, places: np.ndarray) -> Array:
        """Numbers of the surest anchors of one level, `[N, min(candidates, anchors of the level)]`."""
        return jnp.asarray(places)[lax.top_k(scores[:, places], min(self.candidates, len(places)))[1]]
