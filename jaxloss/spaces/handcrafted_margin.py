"""Hand-crafted margin-based softmax losses, with margin and scale as traced numbers.

They read `cosine` and `target` `[N, H, W, C]` of one branch and return one value per sample `[N, H, W, 1]`. The scale is given as
its base-2 logarithm, as in the searched losses, since it is tuned over powers of two.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.handcrafted import HandcraftedFamily
from jaxloss.spaces.hyperparameters import TuningRange
from jaxloss.spaces.margin_softmax import INPUTS, LOG2_SCALE, margin_softmax

# Keeps arccos, whose slope is infinite at 1 and -1, off its ends.
_INSIDE = 1e-6
_SCALE = TuningRange(1.0, 7.0, 5.0)


def _loss(inputs: LossInputs, own: Array, other: Array, log2_s: Array) -> Array:
    return margin_softmax(own, other, 2.0**log2_s, inputs.arrays["target"])


def _cosine(inputs: LossInputs) -> Array:
    return jnp.where(inputs.mask, inputs.arrays["cosine"], 0)


def _angle(cosine: Array) -> Array:
    return jnp.arccos(jnp.clip(cosine, -1 + _INSIDE, 1 - _INSIDE))


def normalised_softmax(inputs: LossInputs, log2_s: Array) -> Array:
    """`t = n = x`."""
    cosine = _cosine(inputs)
    return _loss(inputs, cosine, cosine, log2_s)


def sphereface(inputs: LossInputs, margin: Array, log2_s: Array) -> Array:
    """`t = (-1)^k cos(m theta) - 2k` for `theta` in `[k pi / m, (k + 1) pi / m]`, which falls over the whole range; features and
    classes are both normalised, as everywhere here.
    """
    cosine = _cosine(inputs)
    turned = margin * _angle(cosine)
    piece = lax.stop_gradient(jnp.floor(turned / jnp.pi))
    own = (1 - 2 * (piece % 2)) * jnp.cos(turned) - 2 * piece
    return _loss(inputs, own, cosine, log2_s)


def cosface(inputs: LossInputs, margin: Array, log2_s: Array) -> Array:
    """`t = x - m`."""
    cosine = _cosine(inputs)
    return _loss(inputs, cosine - margin, cosine, log2_s)


def arcface(inputs: LossInputs, margin: Array, log2_s: Array) -> Array:
    """`t = cos(theta + m)`; beyond `pi - m`, where that would rise again, `t = x - m sin m`, as in the published code."""
    cosine = _cosine(inputs)
    own = jnp.where(cosine > -jnp.cos(margin), jnp.cos(_angle(cosine) + margin), cosine - margin * jnp.sin(margin))
    return _loss(inputs, own, cosine, log2_s)


def circle(inputs: LossInputs, margin: Array, log2_s: Array) -> Array:
    """`t = [1 + m - x]+ (x - 1 + m)`, `n = [x + m]+ (x - m)`, both brackets detached."""
    cosine = _cosine(inputs)
    own = lax.stop_gradient(jnp.maximum(1 + margin - cosine, 0)) * (cosine - 1 + margin)
    other = lax.stop_gradient(jnp.maximum(cosine + margin, 0)) * (cosine - margin)
    return _loss(inputs, own, other, log2_s)


def _family(name: str, values, source: str, title: str = "", **ranges: TuningRange) -> HandcraftedFamily:
    # The scale first: the tuning then looks at the same pairs of rate and scale for every loss, with a margin or without.
    return HandcraftedFamily(name, values, {LOG2_SCALE: _SCALE, **ranges}, source, INPUTS, title=title)


MARGIN_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        _family("normalised_softmax", normalised_softmax, "Wang et al., ACM MM 2017 (NormFace)"),
        _family("sphereface", sphereface, "Liu et al., CVPR 2017", "SphereFace", margin=TuningRange(1.0, 4.0, 1.35)),
        _family("cosface", cosface, "Wang et al., CVPR 2018", "CosFace", margin=TuningRange(0.0, 0.6, 0.35)),
        _family("arcface", arcface, "Deng et al., CVPR 2019", "ArcFace", margin=TuningRange(0.0, 0.7, 0.5)),
        _family("circle", circle, "Sun et al., CVPR 2020", "Circle loss", margin=TuningRange(0.0, 0.6, 0.25)),
    )
}
