"""Hand-crafted losses for classes of unequal frequency, with hyper-parameters as traced numbers.

They read `logits` and one-hot `target`, most of them also `prior`, how often each class occurs in training, each `[N, H, W, C]`
of one branch, and return one value per sample `[N, H, W, 1]`. In formulas `pi` is the prior, `x` the logits, `p` their softmax
and `y` the right class. Weights of classes are scaled to a mean of one over the training examples: the rest is the learning
rate's business.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array, LossInputs
from jaxloss.graphs.operators.aggregations import mean_nhw
from jaxloss.graphs.operators.operator import Neighbourhood
from jaxloss.spaces.handcrafted import INPUTS, HandcraftedFamily, sum_over_classes
from jaxloss.spaces.hyperparameters import TuningRange

INPUTS_WITH_PRIOR = (*INPUTS, "prior")
# A task of somebody else's may say that a class never occurs: its logarithm stays finite.
_SMALLEST_PRIOR = 1e-12


def _read(inputs: LossInputs) -> tuple[Array, Array, Array]:
    """Logits, target and prior `[N, H, W, C]`; void positions are harmless."""
    logits, target, prior = (jnp.where(inputs.mask, inputs.arrays[name], 0) for name in INPUTS_WITH_PRIOR)
    return logits, target, jnp.maximum(prior, _SMALLEST_PRIOR)


def _cross_entropy(logits: Array, target: Array) -> Array:
    return -sum_over_classes(target * jax.nn.log_softmax(logits, axis=-1))


def _weighted(weights: Array, logits: Array, target: Array, prior: Array) -> Array:
    return sum_over_classes(target * weights) / sum_over_classes(prior * weights) * _cross_entropy(logits, target)


def weighted_cross_entropy(inputs: LossInputs) -> Array:
    """`-log p_y / (C pi_y)`: every class has the same weight in all, and its examples share it."""
    logits, target, prior = _read(inputs)
    return _weighted(1 / prior, logits, target, prior)


def class_balanced(inputs: LossInputs, saturation: Array) -> Array:
    """`-w_y log p_y` with `w_c` as `(1 - beta) / (1 - beta^(n_c))`, the inverse of the effective number of examples.

    A loss sees shares, not numbers `n_c = M pi_c` of `M` training examples: `beta^(n_c)` is `exp(-saturation pi_c)` with
    `saturation = -M log(beta)`. From 0 upwards the weights go from those of `weighted_cross_entropy` to equal ones; the paper's
    beta of 0.9999 with 10,000 examples is a saturation of 1, 0.999 is one of 10.
    """
    logits, target, prior = _read(inputs)
    return _weighted(-1 / jnp.expm1(-saturation * prior), logits, target, prior)


def logit_adjustment(inputs: LossInputs, tau: Array) -> Array:
    """`-log softmax(x + tau log pi)_y`."""
    logits, target, prior = _read(inputs)
    return _cross_entropy(logits + tau * jnp.log(prior), target)


def balanced_softmax(inputs: LossInputs) -> Array:
    """`-log(pi_y e^(x_y) / sum_c pi_c e^(x_c))`: logit adjustment with a tau of 1."""
    return logit_adjustment(inputs, 1.0)


def ldam(inputs: LossInputs, margin: Array, scale: Array) -> Array:
    """Cross-entropy of `scale (x - Delta y)` with `Delta_c = margin (min pi / pi_c)^(1/4)`: the rarest class has all of it.

    Without the paper's deferred re-weighting, which changes the loss in the course of a training. There logits are cosines and
    the scale is 30; here they are what the network gives, so that customary is a scale of 1.
    """
    logits, target, prior = _read(inputs)
    margins = margin * (jnp.min(prior, axis=-1, keepdims=True) / prior) ** 0.25
    return _cross_entropy(scale * (logits - target * margins), target)


def soft_f1(inputs: LossInputs, alpha: Array, axis_name: str | None = None) -> Array:
    """`1 - mean_c TP_c / (TP_c + alpha FP_c + (1 - alpha) FN_c)` of the whole batch, in probabilities: Tversky's index.

    `TP_c` is the sum of `p_c` over the examples of class `c`, `FP_c` that over all others, and `FN_c` the sum of `1 - p_c` over
    its examples. With an alpha of 1/2 this is F1 (or Dice), below it what is missed counts for more. The mean is over the classes
    that the batch holds; of several devices, over the batch of all of them.
    """
    logits, target = (jnp.where(inputs.mask, inputs.arrays[name], 0) for name in INPUTS)
    neighbourhood = Neighbourhood(inputs.mask, axis_name)
    p = jax.nn.softmax(logits, axis=-1)
    right, wrong, members = (mean_nhw(values, neighbourhood) for values in (p * target, p * (1 - target), target))
    present = lax.stop_gradient((members > 0).astype(p.dtype))
    # right + missed are the members of a class.
    whole = alpha * (right + wrong) + (1 - alpha) * members
    index = present * right / jnp.where(present > 0, whole, 1)
    return 1 - sum_over_classes(index) / jnp.maximum(sum_over_classes(present), 1)


IMBALANCE_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        HandcraftedFamily(
            "weighted_cross_entropy",
            weighted_cross_entropy,
            {},
            "inverse frequencies",
            INPUTS_WITH_PRIOR,
            title="weighted cross-entropy",
            of_softmax=True,
        ),
        HandcraftedFamily(
            "class_balanced",
            class_balanced,
            {"saturation": TuningRange(0.1, 1000.0, 1.0, logarithmic=True)},
            "Cui et al., CVPR 2019 (softmax)",
            INPUTS_WITH_PRIOR,
            of_softmax=True,
        ),
        HandcraftedFamily(
            "balanced_softmax", balanced_softmax, {}, "Ren et al., NeurIPS 2020", INPUTS_WITH_PRIOR, of_softmax=True
        ),
        HandcraftedFamily(
            "logit_adjustment",
            logit_adjustment,
            {"tau": TuningRange(0.1, 3.0, 1.0)},
            "Menon et al., ICLR 2021",
            INPUTS_WITH_PRIOR,
            of_softmax=True,
        ),
        HandcraftedFamily(
            "ldam",
            ldam,
            {"margin": TuningRange(0.05, 5.0, 0.5, logarithmic=True), "scale": TuningRange(0.5, 30.0, 1.0, logarithmic=True)},
            "Cao et al., NeurIPS 2019 (without deferred re-weighting)",
            INPUTS_WITH_PRIOR,
            title="LDAM",
            of_softmax=True,
        ),
        HandcraftedFamily(
            "soft_f1",
            soft_f1,
            {"alpha": TuningRange(0.1, 0.9, 0.5)},
            "Salehi et al., MLMI 2017 (Tversky's index of a batch)",
            looks_across=True,
            title="soft F1",
        ),
    )
}
