"""Hand-crafted losses of classification that were made for wrong labels, beside GCE and SCE.

They read and return what those of `handcrafted` do; one reads how often each class occurs among the labels, too.
"""

from collections.abc import Mapping

import jax.numpy as jnp

from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.handcrafted import HandcraftedFamily, log_probabilities, sum_over_classes
from jaxloss.spaces.handcrafted_imbalance import INPUTS_WITH_PRIOR
from jaxloss.spaces.hyperparameters import TuningRange

# What the reverse cross-entropy takes the logarithm of 0 for, as in SCE.
_LOG_OF_ZERO = -4.0


def normalised_and_reverse_cross_entropy(inputs: LossInputs, alpha: Array, beta: Array) -> Array:
    """`alpha NCE + beta RCE`: cross-entropy over the sum of that of all classes, and the reverse one, `4 (1 - p_y)`."""
    log_p, target = log_probabilities(inputs)
    log_p_y = sum_over_classes(target * log_p)
    whole = sum_over_classes(log_p)
    # Of a single class the sum is 0, and so is the loss.
    return alpha * log_p_y / jnp.where(whole < 0, whole, -1) - beta * _LOG_OF_ZERO * (1 - jnp.exp(log_p_y))


def jensen_shannon(inputs: LossInputs, weight: Array) -> Array:
    """`(w KL(y, m) + (1 - w) KL(p, m)) / Z` with `m = w y + (1 - w) p` and `Z = -(1 - w) log(1 - w)`.

    Near a weight of 0 it is cross-entropy, near 1 half of the mean absolute error.
    """
    log_p, target = log_probabilities(inputs)
    log_p_y = sum_over_classes(target * log_p)
    p_y = jnp.exp(log_p_y)
    log_m_y, log_rest = jnp.log(weight + (1 - weight) * p_y), jnp.log1p(-weight)
    # In the other classes m is (1 - w) p.
    divergence = -weight * log_m_y + (1 - weight) * (p_y * (log_p_y - log_m_y) - (1 - p_y) * log_rest)
    return divergence / (-(1 - weight) * log_rest)


def confidence_regularised_cross_entropy(inputs: LossInputs, beta: Array) -> Array:
    """`-log p_y + beta sum_c pi_c log p_c` with the frequencies `pi` of the labels: without what a random label would say.

    With a beta of 1 it is the mean of the peer loss (Liu and Guo, ICML 2020) over the peers.
    """
    log_p, target = log_probabilities(inputs)
    prior = jnp.where(inputs.mask, inputs.arrays["prior"], 0)
    return -sum_over_classes((target - beta * prior) * log_p)


ROBUST_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        HandcraftedFamily(
            "nce_rce",
            normalised_and_reverse_cross_entropy,
            {"alpha": TuningRange(0.05, 20.0, 1.0, logarithmic=True), "beta": TuningRange(0.1, 2.0, 1.0, logarithmic=True)},
            "Ma et al., ICML 2020 (active and passive, A = -4)",
            title="NCE+RCE",
            of_softmax=True,
            one_hot=True,
        ),
        HandcraftedFamily(
            "jensen_shannon",
            jensen_shannon,
            {"weight": TuningRange(0.05, 0.95, 0.5, above=0.0, below=1.0)},
            "Englesson and Azizpour, NeurIPS 2021 (without augmented views)",
            title="Jensen-Shannon",
            of_softmax=True,
            one_hot=True,
        ),
        HandcraftedFamily(
            "cores",
            confidence_regularised_cross_entropy,
            {"beta": TuningRange(0.1, 4.0, 1.0)},
            "Cheng et al., ICLR 2021 (the first phase alone)",
            INPUTS_WITH_PRIOR,
            title="CORES",
            of_softmax=True,
        ),
    )
}
