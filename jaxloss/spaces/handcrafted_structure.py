"""Hand-crafted losses that look at what surrounds a position: boundaries and windows, with hyper-parameters as traced numbers.

They read `logits` and one-hot `target` `[N, H, W, C]` of one branch, and return one value per sample `[N, H, W, 1]`. In formulas
`p` is the softmax of the logits and `y` the right class.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array, LossInputs
from jaxloss.core.windows import any_within, differs_from_neighbour
from jaxloss.spaces.handcrafted import INPUTS, HandcraftedFamily, cross_entropy, sum_over_classes
from jaxloss.spaces.hyperparameters import TuningRange

# Further off a boundary the weight of a position is 1.
FARTHEST = 16
# The window and the constants of structural similarity, for values from 0 to 1.
_WINDOW_RADIUS, _WINDOW_DEVIATION = 5, 1.5
_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2


def boundary_cross_entropy(inputs: LossInputs, strength: Array, decay: Array) -> Array:
    """`-(1 + strength exp(-d / decay)) log p_y`: errors near a boundary of the target cost more.

    `d` is the distance of a position to the nearest one on a boundary, in pixels, Chebyshev's; from `FARTHEST` on the exponential
    is taken as 0. A boundary is where one of the eight neighbours is of another class or void. The distance map penalty has this
    form, `(1 + Phi) CE`, with a `Phi` that falls with the distance; its published forms invert the distance transform of whole
    objects.
    """
    target = jnp.where(inputs.mask, inputs.arrays["target"], 0)
    distance = _boundary_distance(jnp.where(inputs.mask[..., 0], jnp.argmax(target, axis=-1), -1), inputs.mask[..., 0])
    distance = distance[..., None].astype(target.dtype)
    nearness = jnp.where(distance < FARTHEST, jnp.exp(-distance / decay), 0)
    return (1 + strength * nearness) * cross_entropy(inputs)


def structural_similarity(inputs: LossInputs, share: Array) -> Array:
    """`-(1 - share) log p_y + share (1 - mean_c SSIM_c)`, the similarity of the maps of a class in prediction and target.

    `SSIM = (2 m_p m_y + c_1)(2 s_py + c_2) / ((m_p^2 + m_y^2 + c_1)(s_p^2 + s_y^2 + c_2))` of the means, variances and the
    covariance in a Gaussian window of 11 x 11 positions, deviation 1.5; `c_1 = 0.01^2`, `c_2 = 0.03^2`. Beyond the border and at
    void positions a window has nothing, and what is left has a weight of one in all. With a share of 1/2 it is the sum of both
    losses, as they are trained together in boundary-aware networks, but for a factor.
    """
    logits, target = (jnp.where(inputs.mask, inputs.arrays[name], 0) for name in INPUTS)
    p, mask = jax.nn.softmax(logits, axis=-1), inputs.mask.astype(logits.dtype)
    weight = _blurred(mask)

    def mean(values: Array) -> Array:
        return _blurred(values * mask) / jnp.where(inputs.mask, weight, 1)

    p_mean, y_mean = mean(p), mean(target)
    p_variance, y_variance = mean(p * p) - p_mean**2, mean(target * target) - y_mean**2
    covariance = mean(p * target) - p_mean * y_mean
    similarity = (2 * p_mean * y_mean + _LUMINANCE) * (2 * covariance + _CONTRAST)
    similarity /= (p_mean**2 + y_mean**2 + _LUMINANCE) * (p_variance + y_variance + _CONTRAST)
    return (1 - share) * cross_entropy(inputs) + share * (1 - sum_over_classes(similarity) / target.shape[-1])


def _boundary_distance(labels: Array, valid: Array) -> Array:
    """Chebyshev distance of each position to the nearest boundary, int32 `[N, H, W]`, `FARTHEST` at most."""
    reached = differs_from_neighbour(labels) & valid
    distance = jnp.zeros(labels.shape, jnp.int32)
    for _ in range(FARTHEST):
        distance += ~reached
        reached = any_within(reached, 1)
    return distance


def _blurred(values: Array) -> Array:
    """Sums over the Gaussian window along H and W, 0 beyond the border; `[N, H, W, C]` to the same shape."""
    steps = np.arange(-_WINDOW_RADIUS, _WINDOW_RADIUS + 1)
    weights = np.exp(-(steps**2) / (2 * _WINDOW_DEVIATION**2))
    weights = (weights / weights.sum()).tolist()
    for axis in (1, 2):
        size, border = values.shape[axis], [(0, 0)] * values.ndim
        border[axis] = (_WINDOW_RADIUS, _WINDOW_RADIUS)
        padded = jnp.pad(values, border)
        # Slices in place of a convolution, which is slow inside loops on a CPU.
        values = sum(w * jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i, w in enumerate(weights))
    return values


STRUCTURE_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        HandcraftedFamily(
            "boundary_cross_entropy",
            boundary_cross_entropy,
            {
                "strength": TuningRange(0.5, 20.0, 2.0, logarithmic=True),
                "decay": TuningRange(0.5, 8.0, 2.0, logarithmic=True, above=0.0),
            },
            "Caliva et al., MIDL 2019 (distance map penalty; the weight falls exponentially)",
            title="boundary-weighted cross-entropy",
            of_softmax=True,
        ),
        HandcraftedFamily(
            "structural_similarity",
            structural_similarity,
            {"share": TuningRange(0.05, 1.0, 0.5)},
            "Qin et al., CVPR 2019 (BASNet), with cross-entropy",
            title="SSIM",
            of_softmax=True,
        ),
    )
}
