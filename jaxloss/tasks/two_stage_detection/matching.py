"""Which regions, anchors or proposals, learn which box: the rule of Faster R-CNN, by their overlap."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp

from jaxloss.core.boxes import area, overlap, quotient
from jaxloss.core.types import Array

# A region is in a crowd when more than this share of its area is.
CROWD_SHARE = 0.5


class Matches(NamedTuple):
    """What the regions of an image are to learn.

    Attributes:
      index: int32 `[A]`, the number of the box of a positive region, -1 elsewhere.
      negative: bool `[A]`, background; what is neither positive nor negative counts nowhere.
    """

    index: Array
    negative: Array

    @property
    def positive(self) -> Array:
        """bool `[A]`."""
        return self.index >= 0


@dataclasses.dataclass(frozen=True)
class OverlapMatching:
    """A region learns the box that it overlaps most, if it does so far enough.

    Attributes:
      positive_iou: from which on a region is positive.
      negative_iou: below which it is background, at most `positive_iou`.
      best_iou: the regions that overlap a box most of all regions are positive as well, whatever else they overlap, where they do
        so by this at least; above 1 for none. Of several such boxes a region learns the one that it overlaps most.

    References:
      S. Ren et al.: Faster R-CNN, NIPS 2015, Section 3.1.2 (0.7, 0.3, and the best anchor of every box); R. Girshick: Fast R-CNN,
      ICCV 2015, Section 2.3 (0.5 for proposals).
    """

    positive_iou: float
    negative_iou: float
    best_iou: float = 2.0

    def __call__(self, regions: Array, region_valid: Array, boxes: Array, valid: Array, crowd: Array) -> Matches:
        """The matches of one image; of boxes that are overlapped equally the first is taken.

        Args:
          regions: float `[A, 4]` in pixels, padded.
          region_valid: bool `[A]`, False for padding, which is neither positive nor negative.
          boxes: float `[K, 4]`, padded, K at least 1.
          valid: bool `[K]`, False for padding.
          crowd: bool `[K]`: many objects under one box. No region learns it, and those of which more than half lies in one are
            no background.
        """
        found = overlap(regions[:, None], boxes[None])
        learnt = (valid & ~crowd)[None] & region_valid[:, None]
        iou = jnp.where(learnt, found.iou, -1)
        highest, index = jnp.max(iou, axis=1), jnp.argmax(iou, axis=1)
        of_box = jnp.max(iou, axis=0)
        # A region of no area overlaps nothing, and is nobody's best.
        is_best = (iou == of_box) & (of_box >= self.best_iou) & (of_box > 0) & learnt
        any_best = jnp.any(is_best, axis=1)
        index = jnp.where(any_best, jnp.argmax(jnp.where(is_best, iou, -1), axis=1), index)
        positive = region_valid & (any_best | ((highest >= self.positive_iou) & (highest > 0)))
        share = quotient(found.intersection, area(regions)[:, None])
        in_crowd = jnp.any((share > CROWD_SHARE) & (valid & crowd)[None], axis=1)
        negative = region_valid & ~positive & (highest < self.negative_iou) & ~in_crowd
        return Matches(jnp.where(positive, index, -1).astype(jnp.int32), negative)
