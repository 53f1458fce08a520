"""Hand-crafted losses of boxes, with hyper-parameters as traced numbers.

Those of areas read `intersection`, `union` and `enclosing` `[N, H, W, 1]`, the areas of what the predicted and the target box
share and cover, and of the smallest box around both. Those of positions read `predicted_box` and `target_box` `[N, H, W, 4]`, the
corners (left, top, right, bottom). Those of coordinates read `prediction` and `target` `[N, H, W, 4]`, as the network gives them.
All return one value per box `[N, H, W, 1]`. None depends on the unit of length, but for the losses of coordinates.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.handcrafted import HandcraftedFamily, sum_over_classes
from jaxloss.spaces.hyperparameters import TuningRange

AREAS = ("intersection", "union", "enclosing")
BOXES = ("predicted_box", "target_box")
COORDINATES = ("prediction", "target")
# The overlap of disjoint boxes is zero, where the logarithm has no slope that could train anything.
_SMALLEST_OVERLAP = 1e-6


def _read(inputs: LossInputs, names: tuple[str, ...]) -> list[Array]:
    """The named arrays, in which void positions are harmless."""
    return [jnp.where(inputs.mask, inputs.arrays[name], 1) for name in names]


def _ratio(part: Array, whole: Array) -> Array:
    """`part / whole`, 0 where the whole is nothing: boxes without an area."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), 0)


def intersection_over_union(inputs: LossInputs) -> Array:
    """`1 - i / u`."""
    intersection, union = _read(inputs, AREAS[:2])
    return 1 - _ratio(intersection, union)


def logarithm_of_overlap(inputs: LossInputs) -> Array:
    """`-log(i / u)`, with an overlap of at least 1e-6."""
    intersection, union = _read(inputs, AREAS[:2])
    return -jnp.log(jnp.maximum(_ratio(intersection, union), _SMALLEST_OVERLAP))


def generalised_overlap(inputs: LossInputs) -> Array:
    """`1 - i / u + (e - u) / e`."""
    intersection, union, enclosing = _read(inputs, AREAS)
    return 1 - _ratio(intersection, union) + _ratio(enclosing - union, enclosing)


def _sides(box: Array) -> tuple[Array, Array]:
    """Width and height, each `[N, H, W, 1]`."""
    return box[..., 2:3] - box[..., 0:1], box[..., 3:4] - box[..., 1:2]


def _centre(box: Array) -> Array:
    return (box[..., :2] + box[..., 2:]) / 2


def _overlap(predicted: Array, target: Array) -> Array:
    """`i / u`, `[N, H, W, 1]`."""
    corners = (jnp.maximum(predicted[..., :2], target[..., :2]), jnp.minimum(predicted[..., 2:], target[..., 2:]))
    intersection = jnp.prod(jnp.maximum(corners[1] - corners[0], 0), axis=-1, keepdims=True)
    area, target_area = (jnp.multiply(*_sides(box)) for box in (predicted, target))
    return _ratio(intersection, area + target_area - intersection)


def distance_overlap(inputs: LossInputs) -> Array:
    """`1 - i / u + d^2 / c^2`: the distance of the centres, and the diagonal of the smallest box around both."""
    predicted, target = _read(inputs, BOXES)
    return _distance_overlap(predicted, target)[0]


def _distance_overlap(predicted: Array, target: Array) -> tuple[Array, Array]:
    """The loss, and `i / u`."""
    overlap = _overlap(predicted, target)
    span = jnp.maximum(predicted[..., 2:], target[..., 2:]) - jnp.minimum(predicted[..., :2], target[..., :2])
    distance = sum_over_classes((_centre(predicted) - _centre(target)) ** 2)
    return 1 - overlap + _ratio(distance, sum_over_classes(span**2)), overlap


def complete_overlap(inputs: LossInputs) -> Array:
    """The loss of `distance_overlap`, and `a v`: `v = 4 (atan w_t/h_t - atan w/h)^2 / pi^2`, `a = v / (1 - i/u + v)`.

    The factor `a` is a constant to the gradient, as its authors have it.
    """
    predicted, target = _read(inputs, BOXES)
    loss, overlap = _distance_overlap(predicted, target)
    # The angle of a side: the arctangent of a quotient whose denominator may be zero.
    angles = [jnp.arctan2(*_sides(box)) for box in (target, predicted)]
    shape = 4 / np.pi**2 * (angles[0] - angles[1]) ** 2
    factor = lax.stop_gradient(_ratio(shape, 1 - overlap + shape))
    return loss + factor * shape


def bounded_overlap(inputs: LossInputs, beta: Array) -> Array:
    """The sum over x, y, width and height of `h(1 - b)`, `b` the best overlap that the error of this one alone allows.

    `b_x = max(0, (w_t - 2 |dx|) / (w_t + 2 |dx|))`, `b_w = min(w / w_t, w_t / w)`; `h(z) = z^2 / (2 beta)` below beta, else
    `z - beta / 2`.
    """
    predicted, target = _read(inputs, BOXES)
    sides, target_sides = (jnp.concatenate(_sides(box), axis=-1) for box in (predicted, target))
    off = 2 * jnp.abs(_centre(target) - _centre(predicted))
    of_centre = jnp.maximum(_ratio(target_sides - off, target_sides + off), 0)
    of_sides = jnp.minimum(_ratio(sides, target_sides), _ratio(target_sides, sides))
    return sum_over_classes(_huber(1 - jnp.concatenate([of_centre, of_sides], axis=-1), beta))


def _huber(error: Array, beta: Array) -> Array:
    return jnp.where(error < beta, error**2 / (2 * beta), error - beta / 2)


def absolute_error(inputs: LossInputs) -> Array:
    """`sum_c |p_c - t_c|`, in the unit of the coordinates."""
    prediction, target = _read(inputs, COORDINATES)
    return sum_over_classes(jnp.abs(prediction - target))


def smooth_absolute_error(inputs: LossInputs, beta: Array) -> Array:
    """`sum_c h(|p_c - t_c|)`, `h(z) = z^2 / (2 beta)` below beta, else `z - beta / 2`; beta in the unit of the coordinates."""
    prediction, target = _read(inputs, COORDINATES)
    return sum_over_classes(_huber(jnp.abs(prediction - target), beta))


BOX_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        HandcraftedFamily("iou", intersection_over_union, {}, "Yu et al., ACMMM 2016, without the logarithm", AREAS[:2]),
        HandcraftedFamily("iou_log", logarithm_of_overlap, {}, "Yu et al., ACMMM 2016", AREAS[:2]),
        HandcraftedFamily("giou", generalised_overlap, {}, "Rezatofighi et al., CVPR 2019", AREAS),
        HandcraftedFamily("diou", distance_overlap, {}, "Zheng et al., AAAI 2020", BOXES),
        HandcraftedFamily("ciou", complete_overlap, {}, "Zheng et al., AAAI 2020", BOXES),
        HandcraftedFamily(
            "bounded_iou",
            bounded_overlap,
            {"beta": TuningRange(0.05, 1.0, 0.2, logarithmic=True)},
            "Tychsen-Smith and Petersson, CVPR 2018",
            BOXES,
        ),
        HandcraftedFamily("l1", absolute_error, {}, "least absolute deviations", COORDINATES),
        HandcraftedFamily(
            "smooth_l1",
            smooth_absolute_error,
            {"beta": TuningRange(0.01, 2.0, 1.0, logarithmic=True)},
            "Girshick, ICCV 2015",
            COORDINATES,
        ),
    )
}
