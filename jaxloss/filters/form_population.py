"""Gradients of a population of losses of any form on a rejection problem, each loss as a whole.

On an accelerator all lanes are computed side by side, by `vmap`. On a CPU they are computed one after the other in one call, so
that every operator is a real branch: under `vmap` all operators would be computed and one selected.
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxloss.core.form import Expression, Form
from jaxloss.core.problem import RejectionProblem, batch_of_one
from jaxloss.core.reduce import total_loss
from jaxloss.core.types import Array, PyTree
from jaxloss.filters.population import fit_lanes
from jaxloss.graphs.stacking import encoded_axes, stack_encoded

# Tensors that a lane may need where the form has no graphs that would say it.
_TENSORS = 64
# On an accelerator, if they fit. On a CPU lanes are computed one after the other, the empty ones too: few candidates pass the
# look at their curves, and wide calls would be mostly empty.
MAX_LANES = {"vmap": 1024, "map": 4}


class FormPopulation:
    """The population of a form without graphs: samples are problems of their own. See `filters.population.Population`."""

    def __init__(
        self,
        problem: RejectionProblem,
        form: Form,
        lanes: int,
        budget: int,
        batching: str = "auto",
        apart: bool = True,
        blank: Expression | None = None,
    ):
        """Args:
        problem: whose inputs the losses read.
        form: of the losses.
        lanes: the most candidates at once, 0 for as many as suit the device.
        budget: bytes that the population may take.
        batching: `map`, `vmap`, or `auto` for what suits the device.
        apart: every sample is a problem of its own, as in the rejection protocol; else they are one batch.
        blank: for lanes that hold no candidate; None takes that of the form.
        """
        self._problem, self._form = problem, form
        self._batching = batching if batching != "auto" else "map" if jax.default_backend() == "cpu" else "vmap"
        self.samples = problem.start.shape[0]
        # Samples of a form that does not look across them are problems of their own in a batch, too.
        self._apart = apart and form.looks_across
        self._blank = form.encode(form.blank() if blank is None else blank)
        most = MAX_LANES[self._batching]
        self._most, self._budget = min(lanes or most, most), budget
        # A guess on the safe side, see `fit`.
        self.lanes = max(1, min(self._most, budget // (_num_tensors(form) * problem.start.nbytes)))

    def encode(self, expression: Expression) -> PyTree:
        """See `Population.encode`."""
        return self._form.encode(expression)

    def size(self, encoded: PyTree) -> int:
        """See `Population.size`."""
        return 0  # all are computed in full

    def fit(self, needed: Callable[[PyTree], int]) -> None:
        """See `filters.population.Population.fit`."""
        fit_lanes(self, needed, self._most, self._budget)

    def prepare(self, encoded: Sequence[PyTree | None]) -> PyTree:
        """See `Population.prepare`."""
        rows = [self._blank if one is None else one for one in encoded]
        rows += [self._blank] * (self.lanes - len(rows))
        if self._batching == "map":
            return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
        return jax.tree.map(lambda leaf: leaf[0], stack_encoded(rows, 1))

    def stack(self, prepared: Sequence[PyTree]) -> PyTree:
        """See `Population.stack`."""
        return jax.tree.map(lambda *slices: np.stack(slices), *prepared)

    def memory(self) -> PyTree:
        """See `Population.memory`."""
        return ()

    def begin(self, population: PyTree, memory: PyTree, start: Array, context: PyTree) -> PyTree:
        """See `Population.begin`."""
        del population, start, context
        return memory

    def gradients(self, population: PyTree, memory: PyTree, variable: Array, context: PyTree) -> tuple[Array, PyTree]:
        """See `Population.gradients`."""

        def total(value: Array, context: PyTree, encoded: PyTree) -> Array:
            inputs = self._problem.inputs(value, context)
            return total_loss(self._form.values(encoded, inputs), inputs)

        def of_lane(encoded: PyTree, value: Array) -> Array:
            if self._apart:
                return jax.vmap(lambda one, own: jax.grad(total)(one[None], batch_of_one(own), encoded)[0])(value, context)
            return jax.grad(total)(value, context, encoded)

        if self._batching == "map":
            return jax.lax.map(lambda lane: of_lane(*lane), (population, variable)), memory
        return jax.vmap(of_lane, in_axes=(encoded_axes(population), 0))(population, variable), memory


def _num_tensors(form: Form) -> int:
    """Every graph keeps registers and their cotangents, and under `vmap` what every operator computes before one is selected."""
    if form.graphs is None or form.blank is None:
        return _TENSORS
    _, layout = next(iter(form.graphs(form.blank()).values()))
    return 8 * (layout.first_result + layout.max_instructions) + 4 * len(layout.operators.operators)
