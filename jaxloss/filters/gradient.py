"""The gradient of a candidate on the rejection samples: is it finite and non-zero, and what does it look like?

Two descriptions are made of it. The *norms* per sample are an equivalence check (Li et al., CVPR 2022, Section 3.2); they
are blind to sign. The *sketch*, signed random projections, tells L from -L and serves to remember rejected candidates.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.devices import memory_needed, over_devices, replicate
from jaxloss.core.form import Expression
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, PyTree
from jaxloss.core.verdicts import PASSED, Reason, code_of
from jaxloss.filters.occupancy import Occupancy
from jaxloss.filters.population import Population

NON_FINITE_GRADIENT = Reason("non_finite_gradient", "its gradient is infinite or not a number")
ZERO_GRADIENT = Reason("zero_gradient", "its gradient is zero everywhere: training would stand still")
REASONS = (NON_FINITE_GRADIENT, ZERO_GRADIENT)

NUM_PROJECTIONS = 6
SKETCH_DIGITS = 4


class PopulationGradients:
    """Takes the gradients of many expressions at the start of a rejection problem.

    They are taken on the joint batch: one sample at a time, Mean over n would be the identity.
    """

    def __init__(self, problem: RejectionProblem, population: Population, num_devices: int = 1):
        """Args:
        problem: gives the samples.
        population: takes all of them as one batch.
        num_devices: each takes `population.lanes` of them at once.
        """
        self._population, self._num_devices = population, num_devices
        directions = np.random.default_rng(0).standard_normal((NUM_PROJECTIONS, *problem.start.shape))
        # Arguments of the compiled call: the compiler would spend seconds on folding constants of this size.
        samples = (problem.start, problem.context, jnp.asarray(directions, problem.start.dtype))
        self._samples = replicate(samples, num_devices)
        self._compiled = over_devices(self._measure, num_devices)
        self.compilations = 0
        population.fit(self._memory_needed)

    def __call__(self, expressions: Sequence[Expression]) -> dict[str, np.ndarray]:
        """Returns `{'reason' [M], 'norms' [M, B], 'projections' [M, NUM_PROJECTIONS]}`."""
        results: dict[str, np.ndarray] = {}
        lanes = Occupancy(
            self._population, [self._population.encode(expression) for expression in expressions], self._num_devices
        )
        while lanes.refill():
            found = self._compiled(lanes.prepared, *self._samples)
            taken = lanes.held >= 0
            for name, column in found.items():
                whole = results.setdefault(name, np.zeros((len(expressions), *column.shape[2:]), column.dtype))
                whole[lanes.held[taken]] = np.asarray(column)[taken]
            lanes.leave(taken)
        return results

    def _memory_needed(self, prepared: PyTree) -> int:
        prepared = jax.tree.map(lambda leaf: np.stack([leaf] * self._num_devices), prepared)
        return memory_needed(self._compiled, prepared, *self._samples)

    def _measure(self, population: PyTree, start: Array, context: PyTree, directions: Array) -> dict[str, Array]:
        self.compilations += 1  # counted while tracing: once per compilation
        memory = self._population.begin(population, self._population.memory(), start, context)
        variable = jnp.broadcast_to(start, (self._population.lanes, *start.shape))
        gradients, _ = self._population.gradients(population, memory, variable, context)
        return jax.vmap(functools.partial(_measure_one, directions))(gradients)


def _measure_one(directions: Array, gradient: Array) -> dict[str, Array]:
    norms = jnp.sqrt(jnp.sum(gradient**2, axis=tuple(range(1, gradient.ndim))))
    finite = jnp.all(jnp.isfinite(gradient)) & jnp.all(jnp.isfinite(norms))
    reason = jnp.where(jnp.any(norms > 0), PASSED, code_of(ZERO_GRADIENT, REASONS))
    return {
        "reason": jnp.where(finite, reason, code_of(NON_FINITE_GRADIENT, REASONS)).astype(jnp.int32),
        "norms": norms,
        # Not a matrix product: its rounding depends on the place of a row in the batch.
        "projections": jnp.sum(directions * gradient, axis=tuple(range(1, directions.ndim))),
    }


@dataclasses.dataclass(frozen=True)
class GradientTexts:
    """Text forms of a gradient, for hashing and for the archive.

    Attributes:
      signature: the norms, to the configured significant digits.
      sketch: the signed projections, with their scale: what the rejection protocol does depends on it.
    """

    signature: str
    sketch: str


def gradient_texts(
    norms: np.ndarray, projections: np.ndarray, digits: int, scale_free: bool, signed: bool = False
) -> GradientTexts:
    """Rounds norms and projections.

    Args:
      norms: `[B]`.
      projections: `[NUM_PROJECTIONS]`.
      digits: significant digits of the norms; the paper has two.
      scale_free: divides by the whole gradient norm first. Only where training normalises gradients: otherwise 2L trains
        differently from L at the same learning rate.
      signed: adds the signs of the projections, so that -L is not taken for L. The paper compares norms alone.
    """
    whole = float(np.sqrt(np.sum(np.square(norms, dtype=np.float64)))) or 1.0
    scaled = norms / whole if scale_free else norms
    signature = " ".join(f"{norm:.{digits - 1}e}" for norm in scaled)
    if signed:
        signature += " " + "".join("+" if value > 0 else "-" for value in projections)
    sketch = " ".join(f"{value:.{SKETCH_DIGITS - 1}e}" for value in projections)
    return GradientTexts(signature, sketch)
