"""Hand-crafted losses of heatmaps, with hyper-parameters as traced numbers.

A sample is the map of one keypoint. They read `prediction` and `target` `[N, H, W, 1]`, or the way from the true place to each
position, `offset` `[N, H, W, 2]` along x and y in positions, and return one value per position `[N, H, W, 1]`.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.handcrafted import HandcraftedFamily, sum_over_classes
from jaxloss.spaces.hyperparameters import TuningRange

MAPS = ("prediction", "target")


def _maps(inputs: LossInputs) -> tuple[Array, Array]:
    """Prediction and target; void positions are harmless."""
    return tuple(jnp.where(inputs.mask, inputs.arrays[name], 0) for name in MAPS)


def mean_squared_error(inputs: LossInputs) -> Array:
    """`(p - y)^2`."""
    prediction, target = _maps(inputs)
    return sum_over_classes((prediction - target) ** 2)


def weighted_squared_error(inputs: LossInputs, weight: Array) -> Array:
    """`(1 + weight y) (p - y)^2`: the peak weighs more than the ground, which is nearly all of a map."""
    prediction, target = _maps(inputs)
    return sum_over_classes((1 + weight * target) * (prediction - target) ** 2)


def soft_argmax(inputs: LossInputs, temperature: Array) -> Array:
    """`|x - x*| + |y - y*|`, the expected place under `softmax(temperature p)` over the map: the same at every position."""
    prediction = jnp.where(inputs.mask, temperature * inputs.arrays["prediction"], -jnp.inf)
    # A map without a valid position has no place; its value is masked, and its gradient is none.
    prediction = jnp.where(jnp.any(inputs.mask, axis=(1, 2), keepdims=True), prediction, 0)
    shares = jax.nn.softmax(prediction, axis=(1, 2))
    errors = jnp.sum(shares * jnp.where(inputs.mask, inputs.arrays["offset"], 0), axis=(1, 2), keepdims=True)
    return jnp.broadcast_to(sum_over_classes(jnp.abs(errors)), inputs.mask.shape)


HEATMAP_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        HandcraftedFamily("mse", mean_squared_error, {}, "Tompson et al., NeurIPS 2014", MAPS, title="MSE"),
        HandcraftedFamily(
            "weighted_mse",
            weighted_squared_error,
            {"weight": TuningRange(1.0, 100.0, 10.0, logarithmic=True)},
            "after the weights of Wang et al., ICCV 2019 (adaptive wing loss)",
            MAPS,
            title="weighted MSE",
        ),
        HandcraftedFamily(
            "soft_argmax",
            soft_argmax,
            {"temperature": TuningRange(0.3, 30.0, 1.0, logarithmic=True)},
            "Sun et al., ECCV 2018 (integral regression)",
            ("prediction", "offset"),
            title="soft-argmax L1",
        ),
    )
}
