"""Hand-crafted losses of regression, with hyper-parameters as traced numbers; `mse` is among those of heatmaps.

They read `prediction` and `target` `[N, H, W, K]`, and return one value per position, the sum over K, `[N, H, W, 1]`.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.handcrafted import HandcraftedFamily, sum_over_classes
from jaxloss.spaces.hyperparameters import TuningRange

INPUTS = ("prediction", "target")
_LOG_2 = math.log(2)


def _error(inputs: LossInputs) -> Array:
    """`p - y`; void positions are harmless."""
    return jnp.where(inputs.mask, inputs.arrays["prediction"] - inputs.arrays["target"], 0)


def absolute_error(inputs: LossInputs) -> Array:
    """`|p - y|`."""
    return sum_over_classes(jnp.abs(_error(inputs)))


def huber(inputs: LossInputs, delta: Array) -> Array:
    """`e^2 / 2` up to `|e| = delta`, beyond it `delta (|e| - delta / 2)`; `e = p - y`."""
    size = jnp.abs(_error(inputs))
    inside = jnp.minimum(size, delta)
    return sum_over_classes(inside * (size - inside / 2))


def log_cosh(inputs: LossInputs, scale: Array) -> Array:
    """`scale^2 log cosh(e / scale)`, `e = p - y`: as `e^2 / 2` for small errors, as `scale |e|` for large ones."""
    size = jnp.abs(_error(inputs)) / scale
    return sum_over_classes(scale**2 * (size + jax.nn.softplus(-2 * size) - _LOG_2))


def cauchy(inputs: LossInputs, scale: Array) -> Array:
    """`scale^2 / 2 log(1 + (e / scale)^2)`, `e = p - y`: as `e^2 / 2` for small errors, and ever flatter beyond."""
    return sum_over_classes(scale**2 / 2 * jnp.log1p(jnp.square(_error(inputs) / scale)))


def welsch(inputs: LossInputs, scale: Array) -> Array:
    """`scale^2 / 2 (1 - exp(-(e / scale)^2))`, `e = p - y`: as `e^2 / 2` for small errors; large ones have no gradient."""
    return sum_over_classes(-(scale**2) / 2 * jnp.expm1(-jnp.square(_error(inputs) / scale)))


def quantile(inputs: LossInputs, tau: Array) -> Array:
    """`max(tau (y - p), (1 - tau) (p - y))`: its best prediction is the quantile `tau`; half the absolute error for 1/2."""
    error = _error(inputs)
    return sum_over_classes(jnp.maximum(-tau * error, (1 - tau) * error))


REGRESSION_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        HandcraftedFamily("absolute_error", absolute_error, {}, "Laplace, 1774 (median)", INPUTS, title="absolute error"),
        HandcraftedFamily(
            "huber",
            huber,
            {"delta": TuningRange(0.03, 3.0, 1.0, logarithmic=True, above=0.0)},
            "Huber, 1964",
            INPUTS,
            title="Huber",
        ),
        HandcraftedFamily(
            "log_cosh",
            log_cosh,
            {"scale": TuningRange(0.03, 3.0, 1.0, logarithmic=True, above=0.0)},
            "Green, 1990; Saleh and Saleh, 2022",
            INPUTS,
            title="log-cosh",
        ),
        HandcraftedFamily(
            "cauchy",
            cauchy,
            {"scale": TuningRange(0.03, 3.0, 1.0, logarithmic=True, above=0.0)},
            "Black and Anandan, CVIU 1996 (Lorentzian)",
            INPUTS,
            title="Cauchy",
        ),
        HandcraftedFamily(
            "welsch",
            welsch,
            {"scale": TuningRange(0.03, 3.0, 1.0, logarithmic=True, above=0.0)},
            "Dennis and Welsch, 1978",
            INPUTS,
            title="Welsch",
        ),
        HandcraftedFamily(
            "quantile", quantile, {"tau": TuningRange(0.1, 0.9, 0.5)}, "Koenker and Bassett, Econometrica 1978", INPUTS
        ),
    )
}
