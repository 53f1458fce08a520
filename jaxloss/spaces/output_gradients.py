"""Gradients of losses at made-up outputs of a network, and whether those of two losses are one.

Two losses whose gradients agree there move a network alike, however differently they are written: a term that sums to a constant
over a softmax, a pooling of a single position and a factor beside a one-hot target are gone once the gradient has reached the
logits. They are taken in float64: in float32 a mean over the classes of a softmax, behind a steep function,
hides that it is constant.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.abstract import named_errors
from jaxloss.core.devices import float64_on_cpu
from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.types import Array, PyTree
from jaxloss.spaces.base import Candidate, Space

LANES = 16
# Of the gradient of a sample: a term that is a thousandth of it changes a training less than its seed does.
RELATIVE = 1e-3
# Of the largest gradient in the batch: what a loss rounds off in statistics of a batch reaches every sample of it.
ROUNDING = 1e-5


class OutputGradients:
    """Gradients of the losses of one space at the outputs that a task offers; one compilation serves all losses.

    On the CPU, whatever the device: losses are taken one after the other in one call, so that every operator is a real branch.
    """

    def __init__(self, space: Space, samples: OutputSamples):
        """Of the losses of a space, where a task says."""
        self.space, self._samples = space, samples
        self._compiled = jax.jit(self._of_lanes)
        self.compilations = 0

    def __call__(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """Gradients, float64 `[M, K, N, F]`, of `M` losses, `F` numbers for each of the `N` samples of `K` batches.

        Raises:
          UserError: where the space or the task makes a mistake.
        """
        rows = []
        with named_errors(f"the loss of the space {self.space.name} at the output samples of the task"), float64_on_cpu():
            outputs = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), self._samples.outputs)
            for start in range(0, len(candidates), LANES):
                encoded = [self.space.encode(candidate) for candidate in candidates[start : start + LANES]]
                gradients = self._compiled(_stacked(encoded), outputs, jax.tree.map(np.asarray, self._samples.context))
                rows.append(np.asarray(gradients)[: len(encoded)])
        return np.concatenate(rows)

    def _of_lanes(self, lanes: PyTree, outputs: PyTree, context: PyTree) -> Array:
        self.compilations += 1  # counted while tracing: once per compilation

        def loss(outputs: PyTree, context: PyTree, encoded: PyTree) -> Array:
            return self.space.loss(encoded, self._samples.inputs(outputs, context))

        def of_lane(encoded: PyTree) -> Array:
            gradients = jax.vmap(jax.grad(loss), in_axes=(0, 0, None))(outputs, context, encoded)
            return jnp.concatenate([leaf.reshape(*leaf.shape[:2], -1) for leaf in jax.tree.leaves(gradients)], axis=-1)

        return jax.lax.map(of_lane, lanes)


def _stacked(encoded: list[PyTree]) -> PyTree:
    """All lanes; those without a candidate do the first once more."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *encoded, *encoded[:1] * (LANES - len(encoded)))


def agreeing(reference: np.ndarray, others: np.ndarray, scale_free: bool = False) -> np.ndarray:
    """Which gradients are those of a reference: bool `[M]`.

    Gradients agree where, for every sample, the norm of their difference is at most `RELATIVE` of the larger one plus `ROUNDING`
    of the largest in the batch. NaN and infinities have to be in the same places.

    Args:
      reference: `[K, N, F]`.
      others: `[M, K, N, F]`.
      scale_free: up to one positive factor, the same for all samples. Only where training normalises gradients: otherwise 2L
        trains differently from L at the same learning rate.
    """
    finite = np.isfinite(reference)
    if not finite.any():  # it tells nothing
        return np.zeros(len(others), bool)
    alike = np.where(finite, np.isfinite(others), (others == reference) | (np.isnan(others) & np.isnan(reference)))
    first, second = (np.where(np.isfinite(one), one, 0) for one in (reference[None], others))
    if scale_free:
        first, second = _of_length_one(first), _of_length_one(second)
    # Of numbers of at most one, squares do not overflow.
    common = np.maximum(_largest(first), _largest(second))
    first, second = first / common, second / common
    difference, sizes = _norms(first - second), np.maximum(_norms(first), _norms(second))
    largest = sizes.max(axis=-1, keepdims=True)
    return alike.all(axis=(1, 2, 3)) & (difference <= RELATIVE * sizes + ROUNDING * largest).all(axis=(1, 2))


def distances(reference: np.ndarray, others: np.ndarray, scale_free: bool = False) -> np.ndarray:
    """The norm of the difference of gradients over that of a reference, float64 `[M]`: the largest of the batches.

    Args:
      reference: `[K, N, F]`.
      others: `[M, K, N, F]`; where one has NaN or an infinity, its distance is infinite.
      scale_free: see `agreeing`.
    """
    finite = np.isfinite(others).all(axis=(1, 2, 3)) & np.isfinite(reference).all()
    first, second = (np.where(np.isfinite(one), one, 0) for one in (reference[None], others))
    if scale_free:
        first, second = _of_length_one(first), _of_length_one(second)
    common = _largest(first)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        difference, size = (np.sqrt(np.sum((one / common) ** 2, axis=(2, 3))) for one in (first - second, first))
        found = (difference / size).max(axis=1)
    return np.where(finite & np.isfinite(found), found, np.inf)


def _largest(gradients: np.ndarray) -> np.ndarray:
    """Of each loss the largest number, `[M, 1, 1, 1]`; 1 where all are 0."""
    largest = np.abs(gradients).max(axis=(1, 2, 3), keepdims=True)
    return np.where(largest > 0, largest, 1)


def _of_length_one(gradients: np.ndarray) -> np.ndarray:
    scaled = gradients / _largest(gradients)
    whole = np.sqrt(np.sum(scaled**2, axis=(1, 2, 3), keepdims=True))
    return scaled / np.where(whole > 0, whole, 1)


def _norms(gradients: np.ndarray) -> np.ndarray:
    return np.sqrt(np.sum(gradients**2, axis=-1))
