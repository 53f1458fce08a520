"""Boxes `(left, top, right, bottom)`: areas, how far two of them overlap, and the penalties that losses add to that.

Pixels are areas: a box from 0 to 4 is 4 wide. A box whose sides are the wrong way round has no area. All functions broadcast, and
their gradients are finite everywhere, also for boxes that coincide, lie apart or have no area. Where two numbers tie in a minimum
or a maximum, the gradient is shared between them.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array

# Of quotients; no area of a pixel or of a share of a box is as small.
EPSILON = 1e-9


class Overlap(NamedTuple):
    """Areas of two boxes together, each `[...]`, in the square of the unit of the boxes.

    Attributes:
      intersection: what both cover.
      union: what one of them covers.
      enclosing: of the smallest box around both.
    """

    intersection: Array
    union: Array
    enclosing: Array

    @property
    def iou(self) -> Array:
        """Intersection over union, 0 to 1; 0 where neither box has an area."""
        return quotient(self.intersection, self.union)


def quotient(part: Array, whole: Array) -> Array:
    """`part / whole`, and 0, without a gradient, where `whole` is not above 0."""
    there = whole > EPSILON
    return jnp.where(there, part / jnp.where(there, whole, 1), 0)


def area(boxes: Array) -> Array:
    """Area of boxes `[..., 4]`, `[...]`, at least 0."""
    sides = jnp.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def overlap(boxes: Array, others: Array) -> Overlap:
    """The areas of boxes `[..., 4]` with others `[..., 4]`.

    Args:
      boxes: of some unit.
      others: of the same; `boxes[:, None]` with `others[None]` gives all pairs.

    References:
      H. Rezatofghi et al.: Generalized Intersection over Union, CVPR 2019.
    """
    inner = jnp.concatenate([jnp.maximum(boxes[..., :2], others[..., :2]), jnp.minimum(boxes[..., 2:], others[..., 2:])], axis=-1)
    intersection = area(inner)
    return Overlap(intersection, area(boxes) + area(others) - intersection, area(enclosing_box(boxes, others)))


def enclosing_box(boxes: Array, others: Array) -> Array:
    """The smallest boxes around both, `[..., 4]`."""
    return jnp.concatenate([jnp.minimum(boxes[..., :2], others[..., :2]), jnp.maximum(boxes[..., 2:], others[..., 2:])], axis=-1)


def around(distances: Array) -> Array:
    """The boxes of locations that are so far from their sides: distances `[..., 4]` to left, top, right and bottom; the location
    is the origin.
    """
    return jnp.concatenate([-distances[..., :2], distances[..., 2:]], axis=-1)


def generalised_iou(found: Overlap) -> Array:
    """GIoU, -1 to 1: `i / u - (e - u) / e`."""
    return found.iou - quotient(found.enclosing - found.union, found.enclosing)


def distance_penalty(boxes: Array, others: Array) -> Array:
    """Squared distance of the centres over the squared diagonal of the enclosing box, `[...]`, 0 to 1.

    References:
      Z. Zheng et al.: Distance-IoU Loss, AAAI 2020.
    """
    around = enclosing_box(boxes, others)
    diagonal = jnp.sum((around[..., 2:] - around[..., :2]) ** 2, axis=-1)
    # Half of the sum of both corners is the centre.
    return quotient(jnp.sum((boxes[..., :2] + boxes[..., 2:] - others[..., :2] - others[..., 2:]) ** 2, axis=-1) / 4, diagonal)


def aspect_penalty(boxes: Array, others: Array, iou: Array) -> Array:
    """`alpha v` of the complete IoU, `[...]`: how far the proportions differ, weighed the more the better boxes overlap.

    `v = (2 / pi)^2 (atan(w' / h') - atan(w / h))^2` and `alpha = v / (1 - iou + v)`, through which no gradient goes.

    References:
      Z. Zheng et al.: Distance-IoU Loss, AAAI 2020, Eq. 8 to 11; alpha is a constant for the gradient, as in the authors' code.
    """
    angles = []
    for one in (boxes, others):
        # The angle of width and height, whose quotient may have no denominator.
        sides = jnp.maximum(one[..., 2:] - one[..., :2], 0)
        there = jnp.sum(sides, axis=-1) > EPSILON
        angles.append(jnp.arctan2(jnp.where(there, sides[..., 0], 1), jnp.where(there, sides[..., 1], 1)))
    aspect = (2 / jnp.pi) ** 2 * (angles[1] - angles[0]) ** 2
    return lax.stop_gradient(quotient(aspect, 1 - iou + aspect)) * aspect


def bounded_iou_errors(boxes: Array, targets: Array) -> Array:
    """`1 -` the best IoU that an error of one coordinate alone still allows: centre x, centre y, width, height, `[..., 4]`.

    With `t` the side of the target and `d` the distance of the centres along it: `1 - max((t - 2 d) / (t + 2 d), 0)`; with `w`
    the predicted side: `1 - min(t / w, w / t)`.

    References:
      L. Tychsen-Smith, L. Petersson: Improving Object Localization with Fitness NMS and Bounded IoU Loss, CVPR 2018, Eq. 13, 14.
    """
    side, wanted = (jnp.maximum(one[..., 2:] - one[..., :2], 0) for one in (boxes, targets))
    apart = 2 * jnp.abs((boxes[..., :2] + boxes[..., 2:] - targets[..., :2] - targets[..., 2:]) / 2)
    of_centre = jnp.maximum(quotient(wanted - apart, wanted + apart), 0)
    of_side = jnp.minimum(quotient(wanted, side), quotient(side, wanted))
    return 1 - jnp.concatenate([of_centre, of_side], axis=-1)
