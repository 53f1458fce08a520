"""Hand-crafted losses of detection, with hyper-parameters as traced numbers.

Those of classification read `logits` and `target` `[N, H, W, C]`, each class a question of its own: background is where all
targets are 0. Those of boxes read the areas of intersection, union and enclosing box, `[N, H, W, 1]`, whose quotients do not
depend on the unit, or the distances from a location to the four sides, `[N, H, W, 4]`, in strides, or deltas from a region,
`[N, H, W, 4]`. All return one value per position `[N, H, W, 1]`.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from jaxloss.core.boxes import (
    Overlap,
    around,
    aspect_penalty,
    bounded_iou_errors,
    distance_penalty,
    generalised_iou,
    overlap,
    quotient,
)
from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.handcrafted import HandcraftedFamily, sum_over_classes
from jaxloss.spaces.hyperparameters import TuningRange

AREAS = ("intersection", "union", "enclosing")
DISTANCES = ("distances", "target_distances")
DELTAS = ("deltas", "target_deltas")


def _classes(inputs: LossInputs) -> tuple[Array, Array]:
    """Logits and target `[N, H, W, C]`; void positions are harmless."""
    return tuple(jnp.where(inputs.mask, inputs.arrays[name], 0) for name in ("logits", "target"))


def sigmoid_cross_entropy(inputs: LossInputs) -> Array:
    """`sum_c -y_c log p_c - (1 - y_c) log(1 - p_c)`, `p` the sigmoid of the logits."""
    logits, target = _classes(inputs)
    return sum_over_classes(jax.nn.softplus(logits) - target * logits)


def sigmoid_focal(inputs: LossInputs, gamma: Array, alpha: Array) -> Array:
    """`sum_c -alpha y_c (1 - p_c)^gamma log p_c - (1 - alpha) (1 - y_c) p_c^gamma log(1 - p_c)`."""
    logits, target = _classes(inputs)
    signed = jnp.where(target > 0.5, logits, -logits)
    wrong = jnp.clip(jax.nn.sigmoid(-signed), 1e-6, 1.0)
    weight = jnp.where(target > 0.5, alpha, 1 - alpha)
    return sum_over_classes(weight * wrong**gamma * jax.nn.softplus(-signed))


def _areas(inputs: LossInputs, names: Sequence[str]) -> list[Array]:
    return [jnp.where(inputs.mask, inputs.arrays[name], 1) for name in names]


def _boxes(inputs: LossInputs) -> tuple[Array, Array]:
    """Predicted and true boxes around the location, `[N, H, W, 4]`, in strides."""
    return tuple(around(jnp.where(inputs.mask, inputs.arrays[name], 1)) for name in DISTANCES)


def iou(inputs: LossInputs) -> Array:
    """`1 - i / u`."""
    return 1 - quotient(*_areas(inputs, AREAS[:2]))


def log_iou(inputs: LossInputs) -> Array:
    """`-log(i / u)`, and the IoU taken as 1e-6 at least."""
    return -jnp.log(jnp.maximum(quotient(*_areas(inputs, AREAS[:2])), 1e-6))


def giou(inputs: LossInputs) -> Array:
    """`1 - i / u + (e - u) / e`."""
    return 1 - generalised_iou(Overlap(*_areas(inputs, AREAS)))


def diou(inputs: LossInputs) -> Array:
    """`1 - i / u + d^2 / c^2`: the distance of the centres over the diagonal of the enclosing box."""
    boxes, wanted = _boxes(inputs)
    return (1 - overlap(boxes, wanted).iou + distance_penalty(boxes, wanted))[..., None]


def ciou(inputs: LossInputs) -> Array:
    """`1 - i / u + d^2 / c^2 + alpha v`: the distance, and how far the proportions differ."""
    boxes, wanted = _boxes(inputs)
    found = overlap(boxes, wanted).iou
    return (1 - found + distance_penalty(boxes, wanted) + aspect_penalty(boxes, wanted, found))[..., None]


def bounded_iou(inputs: LossInputs, beta: Array) -> Array:
    """The sum over centre and sides of smooth L1 of `1 -` the best IoU that this error alone allows."""
    return sum_over_classes(_smooth(bounded_iou_errors(*_boxes(inputs)), beta))


def box_l1(inputs: LossInputs) -> Array:
    """The mean over the four sides of `|d - d*|`, in strides: it depends on this unit."""
    boxes, wanted = _boxes(inputs)
    return jnp.mean(jnp.abs(boxes - wanted), axis=-1, keepdims=True)


def box_smooth_l1(inputs: LossInputs, beta: Array) -> Array:
    """The mean over the four sides of `x^2 / (2 beta)` up to `x = beta` and `x - beta / 2` beyond, in strides."""
    boxes, wanted = _boxes(inputs)
    return jnp.mean(_smooth(jnp.abs(boxes - wanted), beta), axis=-1, keepdims=True)


def delta_l1(inputs: LossInputs) -> Array:
    """The sum over the four deltas of `|t - t*|`."""
    return sum_over_classes(_delta_errors(inputs))


def delta_smooth_l1(inputs: LossInputs, beta: Array) -> Array:
    """The sum over the four deltas of `x^2 / (2 beta)` up to `x = beta` and `x - beta / 2` beyond."""
    return sum_over_classes(_smooth(_delta_errors(inputs), beta))


def _delta_errors(inputs: LossInputs) -> Array:
    found, wanted = (jnp.where(inputs.mask, inputs.arrays[name], 0) for name in DELTAS)
    return jnp.abs(found - wanted)


def _smooth(errors: Array, beta: Array) -> Array:
    return jnp.where(errors < beta, errors**2 / (2 * beta), errors - beta / 2)


_BETA = TuningRange(0.05, 2.0, 1.0, logarithmic=True, above=0.0)
# The ninth is the first stage's in Ren et al.'s code.
_DELTA_BETA = TuningRange(0.05, 2.0, 1 / 9, logarithmic=True, above=0.0)

DETECTION_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        HandcraftedFamily("sigmoid_cross_entropy", sigmoid_cross_entropy, {}, "maximum likelihood"),
        HandcraftedFamily(
            "sigmoid_focal",
            sigmoid_focal,
            {"gamma": TuningRange(0.25, 5.0, 2.0), "alpha": TuningRange(0.05, 0.95, 0.25)},
            "Lin et al., ICCV 2017",
        ),
        HandcraftedFamily("iou", iou, {}, "Rahman and Wang, ISVC 2016", AREAS[:2]),
        HandcraftedFamily("log_iou", log_iou, {}, "Yu et al., ACM MM 2016 (UnitBox)", AREAS[:2]),
        HandcraftedFamily("giou", giou, {}, "Rezatofghi et al., CVPR 2019", AREAS),
        HandcraftedFamily("diou", diou, {}, "Zheng et al., AAAI 2020", DISTANCES),
        HandcraftedFamily("ciou", ciou, {}, "Zheng et al., AAAI 2020", DISTANCES),
        HandcraftedFamily(
            "bounded_iou",
            bounded_iou,
            {"beta": TuningRange(0.02, 1.0, 0.2, logarithmic=True, above=0.0)},
            "Tychsen-Smith and Petersson, CVPR 2018 (smooth L1 with 0.2 as in MMDetection)",
            DISTANCES,
        ),
        HandcraftedFamily(
            "box_l1", box_l1, {}, "Girshick, ICCV 2015, without the quadratic part; depends on the unit", DISTANCES
        ),
        HandcraftedFamily("box_smooth_l1", box_smooth_l1, {"beta": _BETA}, "Girshick, ICCV 2015; depends on the unit", DISTANCES),
        HandcraftedFamily("delta_l1", delta_l1, {}, "Girshick, ICCV 2015, without the quadratic part", DELTAS),
        HandcraftedFamily(
            "delta_smooth_l1", delta_smooth_l1, {"beta": _DELTA_BETA}, "Girshick, ICCV 2015; Ren et al., NIPS 2015", DELTAS
        ),
    )
}
