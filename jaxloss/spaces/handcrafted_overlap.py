"""Hand-crafted losses that measure how far prediction and target overlap, with hyper-parameters as traced numbers.

They read `logits` and one-hot `target` `[N, H, W, C]` of one branch, and return one value per sample `[N, H, W, 1]`. Sums run
over all valid positions of the batch, on all devices; classes that the batch does not hold are left out. In formulas `p` is the
softmax of the logits and `y` the target.
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


def _read(inputs: LossInputs) -> tuple[Array, Array]:
    """Probabilities and target `[N, H, W, C]`; void positions are harmless."""
    logits, target = (jnp.where(inputs.mask, inputs.arrays[name], 0) for name in INPUTS)
    return jax.nn.softmax(logits, axis=-1), target


def _mean_over_present(values: Array, present: Array) -> Array:
    """Mean over the classes of `[N, H, W, C]` where `present` is 1, `[N, H, W, 1]`."""
    return sum_over_classes(values * present) / jnp.maximum(sum_over_classes(present), 1)


def _one_minus_ratio(part: Array, whole: Array, members: Array) -> Array:
    """`1 - mean_c part_c / whole_c` over the classes that have members."""
    present = lax.stop_gradient((members > 0).astype(part.dtype))
    return 1 - _mean_over_present(part / jnp.where(present > 0, whole, 1), present)


def tversky(inputs: LossInputs, alpha: Array, beta: Array, axis_name: str | None = None) -> Array:
    """`1 - mean_c TP_c / (TP_c + alpha FP_c + beta FN_c)` with `TP = sum p y`, `FP = sum p (1 - y)`, `FN = sum (1 - p) y`."""
    p, target = _read(inputs)
    neighbourhood = Neighbourhood(inputs.mask, axis_name)
    right, wrong, missed = (mean_nhw(one, neighbourhood) for one in (p * target, p * (1 - target), (1 - p) * target))
    return _one_minus_ratio(right, right + alpha * wrong + beta * missed, right + missed)


def soft_jaccard(inputs: LossInputs, axis_name: str | None = None) -> Array:
    """`1 - mean_c sum p y / sum (p + y - p y)`: Tversky's index with both factors 1."""
    return tversky(inputs, 1.0, 1.0, axis_name)


def dice(inputs: LossInputs, axis_name: str | None = None) -> Array:
    """`1 - mean_c 2 sum p y / (sum p^2 + sum y^2)`."""
    p, target = _read(inputs)
    neighbourhood = Neighbourhood(inputs.mask, axis_name)
    both, squares, members = (mean_nhw(one, neighbourhood) for one in (p * target, p * p + target * target, target))
    return _one_minus_ratio(2 * both, squares, members)


def lovasz_softmax(inputs: LossInputs, axis_name: str | None = None) -> Array:
    """`mean_c sum_i w_ic e_ic`, the Lovasz extension of `1 - IoU_c` at the errors `e = |y - p|` of a class.

    `w` says by how much `1 - IoU` rises when the position is wrong beside all those whose error is larger: it depends on the
    order of the errors alone, and has no gradient.
    """
    p, target = _read(inputs)
    errors = jnp.abs(target - p)
    # What is void comes behind everything else, where it changes nothing.
    ranked = lax.stop_gradient(jnp.where(inputs.mask, errors, -1))
    members, num_valid = target, jnp.sum(inputs.mask, dtype=jnp.int32)
    if axis_name is not None:
        ranked, members = (lax.all_gather(one, axis_name, tiled=True) for one in (ranked, lax.stop_gradient(target)))
        num_valid = lax.psum(num_valid, axis_name)
    shape, num_classes = ranked.shape, ranked.shape[-1]
    rises, present = jax.vmap(_jaccard_rises, in_axes=1, out_axes=(1, 0))(
        ranked.reshape(-1, num_classes), members.reshape(-1, num_classes) > 0
    )
    rises = rises.reshape(shape)
    if axis_name is not None:
        rises = lax.dynamic_slice_in_dim(rises, lax.axis_index(axis_name) * len(errors), len(errors))
    # Every position carries its part of the sum; the average over positions is taken later.
    return num_valid * _mean_over_present(jnp.where(inputs.mask, rises * errors, 0), present)


def _jaccard_rises(errors: Array, members: Array) -> tuple[Array, Array]:
    """How `1 - IoU` of one class rises at each position, float `[M]`, and whether the class has members, 0 or 1."""
    order = jnp.argsort(-errors)
    inside = members[order]
    total = members.sum(dtype=jnp.int32)
    left = total - jnp.cumsum(inside, dtype=jnp.int32)
    union = total + jnp.cumsum(~inside, dtype=jnp.int32)
    # Differences of 1 - left / union, written out: subtracting neighbours would leave no digits among a million positions. As
    # floats, since products of counts leave 32 bits.
    left, union = left.astype(errors.dtype), union.astype(errors.dtype)
    rises = jnp.where(inside, 1, left / jnp.maximum(union - 1, 1)) / jnp.maximum(union, 1)
    return jnp.zeros_like(errors).at[order].set(rises), (total > 0).astype(errors.dtype)


OVERLAP_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        HandcraftedFamily("dice", dice, {}, "Milletari et al., 3DV 2016", looks_across=True, title="Dice"),
        HandcraftedFamily(
            "tversky",
            tversky,
            {"alpha": TuningRange(0.05, 2.0, 0.3, logarithmic=True), "beta": TuningRange(0.05, 2.0, 0.7, logarithmic=True)},
            "Salehi et al., MLMI 2017",
            looks_across=True,
            title="Tversky",
        ),
        HandcraftedFamily(
            "soft_jaccard", soft_jaccard, {}, "Rahman and Wang, ISVC 2016", looks_across=True, title="soft Jaccard"
        ),
        HandcraftedFamily(
            "lovasz_softmax",
            lovasz_softmax,
            {},
            "Berman et al., CVPR 2018 (of the batch)",
            looks_across=True,
            title="Lovasz-softmax",
            of_softmax=True,
        ),
    )
}
