"""The gradient of a candidate on the rejection samples: is it finite and non-zero, and what does it look like?

Two descriptions are made of it. The *norms* per sample are the paper's equivalence check (AutoLoss-Zero, Section 3.2); they
are blind to sign. The *sketch*, signed random projections, tells L from -L and serves to remember rejected candidates.
"""

import collections
import dataclasses
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.devices import over_devices
from jaxloss.core.graph import Graph
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, PyTree, Reason
from jaxloss.filters.population import Population

NUM_PROJECTIONS = 6
SKETCH_DIGITS = 4


class GradientStage:
    """Takes the gradients of many graphs at the start of a rejection problem.

    They are taken on the joint batch: one sample at a time, Mean over n would be the identity.
    """

    def __init__(self, problem: RejectionProblem, population: Population, num_devices: int = 1):
        """Args:
        problem: gives the samples.
        population: takes all of them as one batch.
        num_devices: each takes `population.lanes` graphs at once.
        """
        self._problem, self._population, self._num_devices = problem, population, num_devices
        directions = np.random.default_rng(0).standard_normal((NUM_PROJECTIONS, *problem.start.shape))
        self._directions = jnp.asarray(directions, problem.start.dtype)
        self._compiled = over_devices(self._describe, num_devices)
        self.compilations = 0

    def __call__(self, graphs: Sequence[Graph]) -> dict[str, np.ndarray]:
        """Returns `{'reason' [M], 'norms' [M, B], 'projections' [M, NUM_PROJECTIONS]}`."""
        waiting = collections.deque(self._population.encode(graph) for graph in graphs)
        results = []
        while waiting:
            # A short list is shared by all devices.
            share = -(-len(waiting) // self._num_devices)
            shares, counts = zip(*(self._take(waiting, share) for _ in range(self._num_devices)), strict=True)
            found = self._compiled(jax.tree.map(lambda *slices: np.stack(slices), *shares))
            for device, count in enumerate(counts):
                results.append({name: np.asarray(column[device])[:count] for name, column in found.items()})
        return jax.tree.map(lambda *parts: np.concatenate(parts), *results)

    def _take(self, waiting: collections.deque, most: int) -> tuple[PyTree, int]:
        """As many of the first that wait as fit, prepared for one device, and their number."""
        count = min(self._population.lanes, len(waiting), most)
        while (prepared := self._population.prepare(list(itertools.islice(waiting, count)))) is None:
            count -= max(1, count // 8)
        for _ in range(count):
            waiting.popleft()
        return prepared, count

    def _describe(self, population: PyTree) -> dict[str, Array]:
        self.compilations += 1  # counted while tracing: once per compilation
        start, context = self._problem.start, self._problem.context
        memory = self._population.begin(population, self._population.memory(), start, context)
        variable = jnp.broadcast_to(start, (self._population.lanes, *start.shape))
        gradients, _ = self._population.gradients(population, memory, variable, context)
        return jax.vmap(self._describe_one)(gradients)

    def _describe_one(self, gradient: Array) -> dict[str, Array]:
        norms = jnp.sqrt(jnp.sum(gradient**2, axis=tuple(range(1, gradient.ndim))))
        finite = jnp.all(jnp.isfinite(gradient)) & jnp.all(jnp.isfinite(norms))
        reason = jnp.where(jnp.any(norms > 0), Reason.ACCEPTED, Reason.ZERO_GRADIENT)
        return {
            "reason": jnp.where(finite, reason, Reason.NON_FINITE_GRADIENT).astype(jnp.int32),
            "norms": norms,
            # Not a matrix product: its rounding depends on the place of a row in the batch.
            "projections": jnp.sum(self._directions * gradient, axis=tuple(range(1, self._directions.ndim))),
        }


@dataclasses.dataclass(frozen=True)
class GradientDescription:
    """Text forms of a gradient, for hashing and for the archive.

    Attributes:
      signature: the norms, to the configured significant digits.
      sketch: the signed projections, with their scale: what the rejection protocol does depends on it.
    """

    signature: str
    sketch: str


def describe_gradient(
    norms: np.ndarray, projections: np.ndarray, digits: int, scale_free: bool, signed: bool = False
) -> GradientDescription:
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
    return GradientDescription(signature, sketch)
