"""Hand-crafted losses of detectors that score every class by a sigmoid of its own, with hyper-parameters as traced numbers.

They read `logits` and `target` `[N, H, W, C]`, 1 for the class of an object and 0 elsewhere, so that background is all zeros, and
return one value per sample `[N, H, W, 1]`. In formulas `p` is the sigmoid of the logits and `y` the target.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.handcrafted import INPUTS, HandcraftedFamily, sum_over_classes
from jaxloss.spaces.hyperparameters import TuningRange

# Of the gradient's norm, between 0 and 1, as its authors have it.
NUM_BINS = 10


def _read(inputs: LossInputs) -> tuple[Array, Array]:
    """Logits and target; void positions are harmless."""
    logits, target = (jnp.where(inputs.mask, inputs.arrays[name], 0) for name in INPUTS)
    return logits, target


def _cross_entropies(logits: Array, target: Array) -> Array:
    """`-y log p - (1 - y) log(1 - p)`, `[N, H, W, C]`."""
    return -target * jax.nn.log_sigmoid(logits) - (1 - target) * jax.nn.log_sigmoid(-logits)


def binary_cross_entropy(inputs: LossInputs) -> Array:
    """`-sum_c y log p + (1 - y) log(1 - p)`."""
    return sum_over_classes(_cross_entropies(*_read(inputs)))


def sigmoid_focal(inputs: LossInputs, gamma: Array, alpha: Array) -> Array:
    """`-sum_c alpha y (1 - p)^gamma log p + (1 - alpha) (1 - y) p^gamma log(1 - p)`."""
    logits, target = _read(inputs)
    # Kept off 0, where the slope of a power below one is infinite.
    wrong = jnp.clip(jnp.where(target > 0.5, jax.nn.sigmoid(-logits), jax.nn.sigmoid(logits)), 1e-6, 1.0)
    weight = alpha * target + (1 - alpha) * (1 - target)
    return sum_over_classes(weight * wrong**gamma * _cross_entropies(logits, target))


def gradient_harmonised(inputs: LossInputs, axis_name: str | None = None) -> Array:
    """`sum_c w BCE`, with `w = M / (K n_g)`: `n_g` of the `M` scores of the batch have a gradient `|p - y|` of this size.

    Sizes are told apart in ten bins, of which `K` hold something; on several devices the counts are those of the whole batch.
    Without the moving average over batches, which its authors have as an option.
    """
    logits, target = _read(inputs)
    size = lax.stop_gradient(jnp.abs(jax.nn.sigmoid(logits) - target))
    members = jax.nn.one_hot(jnp.minimum(size * NUM_BINS, NUM_BINS - 1).astype(jnp.int32), NUM_BINS, dtype=logits.dtype)
    counts = jnp.sum(members * inputs.mask[..., None], axis=(0, 1, 2, 3))
    if axis_name is not None:
        counts = lax.psum(counts, axis_name)
    weights = jnp.where(counts > 0, counts.sum() / (jnp.sum(counts > 0) * jnp.maximum(counts, 1)), 0)
    return sum_over_classes(members @ weights * _cross_entropies(logits, target))


DETECTION_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        HandcraftedFamily("binary_cross_entropy", binary_cross_entropy, {}, "maximum likelihood"),
        HandcraftedFamily(
            "sigmoid_focal",
            sigmoid_focal,
            {"gamma": TuningRange(0.25, 5.0, 2.0), "alpha": TuningRange(0.05, 0.95, 0.25)},
            "Lin et al., ICCV 2017",
        ),
        HandcraftedFamily("ghm", gradient_harmonised, {}, "Li et al., AAAI 2019", looks_across=True),
    )
}
