"""Hand-crafted losses of the masks of single objects.

A sample is the mask of one region. They read `logits` and `target` `[N, H, W, 2]`, object and background, and return one value
per position `[N, H, W, 1]`. The binary cross-entropy is `cross_entropy`: with 0 as the logit of background both are one.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.handcrafted import INPUTS, HandcraftedFamily

_OBJECT = 0


def _masks(inputs: LossInputs) -> tuple[Array, Array]:
    """Probabilities and target of the object, `[N, H, W, 1]`; 0 at void positions."""
    logits, target = (jnp.where(inputs.mask, inputs.arrays[name], 0) for name in INPUTS)
    inside = slice(_OBJECT, _OBJECT + 1)
    return jnp.where(inputs.mask, jax.nn.softmax(logits, axis=-1)[..., inside], 0), target[..., inside]


def _over_mask(values: Array) -> Array:
    return jnp.sum(values, axis=(1, 2), keepdims=True)


def region_dice(inputs: LossInputs) -> Array:
    """`1 - (2 sum p y + 1) / (sum p^2 + sum y^2 + 1)` over the cells of a region: the same at each of them."""
    p, y = _masks(inputs)
    ratio = (2 * _over_mask(p * y) + 1) / (_over_mask(p * p) + _over_mask(y * y) + 1)
    return jnp.broadcast_to(1 - ratio, inputs.mask.shape)


def region_jaccard(inputs: LossInputs) -> Array:
    """`1 - (sum p y + 1) / (sum (p + y - p y) + 1)` over the cells of a region: the same at each of them."""
    p, y = _masks(inputs)
    ratio = (_over_mask(p * y) + 1) / (_over_mask(p + y - p * y) + 1)
    return jnp.broadcast_to(1 - ratio, inputs.mask.shape)


MASK_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        HandcraftedFamily("region_dice", region_dice, {}, "Milletari et al., 3DV 2016, of each region", title="Dice of a region"),
        HandcraftedFamily(
            "region_jaccard", region_jaccard, {}, "Rahman and Wang, ISVC 2016, of each region", title="soft Jaccard of a region"
        ),
    )
}
