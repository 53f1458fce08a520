"""Boxes as differences from others: what the networks of Faster R-CNN predict."""

import dataclasses
import math

import jax.numpy as jnp

from jaxloss.core.types import Array

# The logarithm of how many times as long as its region a predicted side may be: exp of more would overflow.
LARGEST_GROWTH = math.log(1000 / 16)
# In pixels; a shorter side of a region is taken for so long a one.
_SHORTEST = 1e-3


@dataclasses.dataclass(frozen=True)
class BoxCoding:
    """Deltas `((x - x_a) / w_a, (y - y_a) / h_a, log(w / w_a), log(h / h_a))` of middles and sides, less means, over deviations.

    Attributes:
      means: of the four deltas.
      deviations: of the four deltas.

    References:
      S. Ren et al.: Faster R-CNN, NIPS 2015, Eq. 2; means and deviations as in R. Girshick: Fast R-CNN, ICCV 2015, Section 2.3.
    """

    means: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    deviations: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)

    def encode(self, regions: Array, boxes: Array) -> Array:
        """Deltas `[..., 4]` that lead from regions `[..., 4]` to boxes `[..., 4]`; finite also where a box has no area."""
        middles, sides = _middles_and_sides(regions)
        of_boxes, box_sides = _middles_and_sides(boxes)
        raw = jnp.concatenate([(of_boxes - middles) / sides, jnp.log(box_sides / sides)], axis=-1)
        return (raw - jnp.asarray(self.means)) / jnp.asarray(self.deviations)

    def decode(self, regions: Array, deltas: Array) -> Array:
        """Boxes `[..., 4]` of regions and deltas `[..., 4]`, which broadcast; not cut to the image.

        Sides grow at most by `exp(LARGEST_GROWTH)`.
        """
        middles, sides = _middles_and_sides(regions)
        raw = deltas * jnp.asarray(self.deviations) + jnp.asarray(self.means)
        moved = middles + raw[..., :2] * sides
        halves = sides * jnp.exp(jnp.minimum(raw[..., 2:], LARGEST_GROWTH)) / 2
        return jnp.concatenate([moved - halves, moved + halves], axis=-1)


def _middles_and_sides(boxes: Array) -> tuple[Array, Array]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, jnp.maximum(boxes[..., 2:] - boxes[..., :2], _SHORTEST)


def clip(boxes: Array, image_size: tuple[int, int]) -> Array:
    """Boxes `[..., 4]` cut to images of `(height, width)` pixels."""
    height, width = image_size
    return jnp.clip(boxes, 0, jnp.array([width, height, width, height], boxes.dtype))
