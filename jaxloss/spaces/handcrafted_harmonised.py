"""Hand-crafted losses that weigh a score by how many of the batch have a gradient of its size.

They read `logits` and `target` `[N, H, W, C]` of one branch, each class a question of its own: background is where all targets
are 0. They return one value per position `[N, H, W, 1]`. In formulas `p` is the sigmoid of the logits and `y` the target.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.handcrafted import INPUTS, HandcraftedFamily, sum_over_classes

# Of the gradient's size, between 0 and 1, as its authors have it.
NUM_BINS = 10


def gradient_harmonised(inputs: LossInputs, axis_name: str | None = None) -> Array:
    """`sum_c w BCE`, with `w = M / (K n_g)`: `n_g` of the `M` scores of the batch have a gradient `|p - y|` of this size.

    Sizes are told apart in ten bins, of which `K` hold something; on several devices the counts are those of the whole batch.
    Without the moving average over batches, which its authors have as an option.
    """
    logits, target = (jnp.where(inputs.mask, inputs.arrays[name], 0) for name in INPUTS)
    size = lax.stop_gradient(jnp.abs(jax.nn.sigmoid(logits) - target))
    members = jax.nn.one_hot(jnp.minimum(size * NUM_BINS, NUM_BINS - 1).astype(jnp.int32), NUM_BINS, dtype=logits.dtype)
    counts = jnp.sum(members * inputs.mask[..., None], axis=(0, 1, 2, 3))
    if axis_name is not None:
        counts = lax.psum(counts, axis_name)
    weights = jnp.where(counts > 0, counts.sum() / (jnp.sum(counts > 0) * jnp.maximum(counts, 1)), 0)
    cross_entropies = jax.nn.softplus(logits) - target * logits
    return sum_over_classes(jnp.sum(members * weights, axis=-1) * cross_entropies)


HARMONISED_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (HandcraftedFamily("ghm", gradient_harmonised, {}, "Li et al., AAAI 2019 (GHM-C)", looks_across=True),)
}
