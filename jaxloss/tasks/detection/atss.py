"""Which locations learn which box: adaptive training sample selection (ATSS)."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxloss.core.boxes import overlap
from jaxloss.core.types import Array
from jaxloss.tasks.detection.assignment import Assignment, inside
from jaxloss.tasks.detection.locations import Locations

# Equal overlaps have themselves as their mean, which rounding may put above them.
_ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class ATSSAssignment(Assignment):
    """The nearest locations of all levels are the candidates of a box, and the statistics of their overlaps choose among them.

    On each level the `num_nearest` locations whose middles are nearest to the centre of the box are its candidates (all of them
    where a level has fewer). A candidate is positive where the IoU of its anchor with the box reaches the mean of all candidates
    plus their standard deviation (with n - 1, as in the authors' code; 0 for a single candidate), and where it lies in the box. A
    location that several boxes choose learns the one with the largest IoU, the first of equal ones.

    A box smaller than the finest cells may hold no location, and overlaps that are nearly equal may all lie below the threshold:
    such a box is learnt nowhere, as with the authors. Locations in padding are no candidates.

    Attributes:
      num_nearest: `k` of the paper.
      anchor_size: side of the square anchor around each location, in strides.

    References:
      S. Zhang et al.: Bridging the Gap Between Anchor-based and Anchor-free Detection via Adaptive Training Sample Selection,
      CVPR 2020, Algorithm 1 and Section 4.2 (k = 9, anchors of 8 strides).
    """

    num_nearest: int = 9
    anchor_size: float = 8.0

    def choose(self, locations: Locations, boxes: Array, objects: Array, usable: Array) -> tuple[Array, Array]:
        """See `Assignment.choose`."""
        candidates = self.candidates(locations, boxes, usable)
        halves = np.repeat(self.anchor_size * locations.strides[:, None] / 2, 2, axis=1)
        anchors = np.concatenate([locations.points - halves, locations.points + halves], axis=1)
        overlaps = overlap(anchors[:, None], boxes[None]).iou
        count = jnp.sum(candidates, axis=0)
        mean = jnp.sum(jnp.where(candidates, overlaps, 0), axis=0) / jnp.maximum(count, 1)
        squares = jnp.sum(jnp.where(candidates, (overlaps - mean) ** 2, 0), axis=0)
        threshold = mean + jnp.sqrt(squares / jnp.maximum(count - 1, 1))
        chosen = candidates & (overlaps >= threshold - _ROUNDING) & inside(locations, boxes) & objects[None]
        best = jnp.where(chosen, overlaps, -1)
        return jnp.argmax(best, axis=1), jnp.any(chosen, axis=1)

    def candidates(self, locations: Locations, boxes: Array, usable: Array) -> Array:
        """The nearest locations of each level, the first of equally near ones, bool `[L, K]`.

        Args:
          locations: `L` of them.
          boxes: float `[K, 4]`.
          usable: bool `[L]`.
        """
        found = []
        for level in range(int(locations.levels[-1]) + 1):
            own = np.flatnonzero(locations.levels == level)
            centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
            apart = jnp.sum((locations.points[own][None] - centres) ** 2, axis=-1)
            nearness, places = lax.top_k(jnp.where(usable[own][None], -apart, -jnp.inf), min(self.num_nearest, len(own)))
            nobody = jnp.zeros((len(boxes), len(own)), bool)
            found.append(nobody.at[jnp.arange(len(boxes))[:, None], places].set(jnp.isfinite(nearness)))
        return jnp.concatenate(found, axis=1).T
