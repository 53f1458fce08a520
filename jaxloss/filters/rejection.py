"""The loss-rejection protocol (Li et al., CVPR 2022, Section 3.2 and Eq. 3): does minimising the loss raise the metric?

The loss is minimised over the predictions themselves, one sample at a time, by SGD with momentum; no network is involved.

Many candidates descend side by side, each in a lane. Between blocks of iterations those that are decided leave, and others
take their lanes: all iterations are spent only on candidates that need them, and the verdicts are those of the whole descent.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from concurrent.futures import Executor

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxloss.core.devices import memory_needed, over_devices, replicate
from jaxloss.core.errors import UserError
from jaxloss.core.form import Expression
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, PyTree
from jaxloss.core.verdicts import PASSED, Reason, code_of
from jaxloss.filters.occupancy import Occupancy
from jaxloss.filters.population import Population
from jaxloss.filters.settings import RejectionSettings

NON_FINITE_OPTIMISATION = Reason(
    "non_finite_optimisation",
    "ran into infinity while a few predictions were optimised with it, without a network",
    is_remembered=True,
)
NO_METRIC_GAIN = Reason(
    "no_metric_gain",
    "a few predictions were optimised with it, without a network, and the metric did not rise enough",
    is_remembered=True,
)
REASONS = (NON_FINITE_OPTIMISATION, NO_METRIC_GAIN)

# Between two looks at which candidates are decided.
ITERATIONS_PER_CALL = 100
# A list is divided among workers only when each gets so many: blocks of few expressions are mostly empty.
GRAPHS_PER_WORKER = 12
# Metrics are means of a few samples in float32: a gain of exactly eta must not fail by rounding.
ROUNDING = 1e-6


def check_headroom(problem: RejectionProblem, settings: RejectionSettings) -> None:
    """Refuses a problem on which no loss could pass.

    Raises:
      UserError: when the metric of the untrained predictions is NaN, or they are so good that the gain is out of reach.
    """
    gain = settings.gain(problem)
    start = float(jnp.mean(problem.metrics(problem.start)))
    if not math.isfinite(start):
        raise UserError(f"the metric of the rejection problem must be a number from 0 to 1, and is {start:g} for its start")
    if 1 - start < gain - ROUNDING:
        raise UserError(
            f"the rejection samples leave no room for a gain of {gain}: the untrained network already has "
            f"{start:.2f}. Lower filters.rejection.minimum_gain, raise filters.rejection.num_samples or change seed"
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Descents:
    """The descents of candidates under way on one device.

    Attributes:
      variable: `[P, B, H, W, C]`.
      momentum: state of `optax.trace`, leaves `[P, B, H, W, C]`.
      steps: int32 `[P]` iterations done.
      memory: of the population.
    """

    variable: Array
    momentum: PyTree
    steps: Array
    memory: PyTree


class RejectionProtocol:
    """The protocol for any number of expressions."""

    def __init__(
        self,
        problem: RejectionProblem,
        population: Population,
        settings: RejectionSettings,
        shortcuts: bool = True,
        num_devices: int = 1,
        workers: Executor | None = None,
        num_workers: int = 1,
    ):
        """Args:
        problem: whose samples are optimised, each on its own.
        population: takes the gradients, samples apart.
        settings: of the protocol.
        shortcuts: let candidates leave once their verdict is decided. The verdicts do not depend on it.
        num_devices: each takes `population.lanes` candidates at once.
        workers: threads, among which long lists are divided, or None.
        num_workers: how many of them.
        """
        self._problem, self._population, self.settings, self._shortcuts = problem, population, settings, shortcuts
        self._num_devices, self._workers, self._num_workers = num_devices, workers, num_workers
        self._gain = settings.gain(problem)
        self._momentum = optax.trace(settings.momentum)
        self._start_metric = problem.metrics(problem.start)
        # An argument of the compiled call: the compiler would spend seconds on folding constants of this size.
        self._samples = replicate((problem.start, problem.context), num_devices)
        self._stride = min(ITERATIONS_PER_CALL, settings.iterations) if shortcuts else settings.iterations
        self._compiled = over_devices(self._advance, num_devices, donate_argnums=(1,))
        self.compilations = 0
        population.fit(self._memory_needed)

    def __call__(self, expressions: Sequence[Expression]) -> dict[str, np.ndarray]:
        """Returns `{'reason' [M], 'gain' [M], 'steps' [M]}`; the steps are those that were needed."""
        encoded = [self._population.encode(expression) for expression in expressions]
        parts = min(self._num_workers, len(expressions) // GRAPHS_PER_WORKER)
        if self._workers is None or parts < 2 or not self.compilations:  # two threads would compile twice
            return self._descend(encoded)
        found = list(self._workers.map(self._descend, [encoded[part::parts] for part in range(parts)]))
        merged = {name: np.empty(len(expressions), column.dtype) for name, column in found[0].items()}
        for part, columns in enumerate(found):
            for name, column in columns.items():
                merged[name][part::parts] = column
        return merged

    # --- on the host -----------------------------------------------------------------------------------------------------------

    def _descend(self, encoded: Sequence[PyTree]) -> dict[str, np.ndarray]:
        results = {"reason": np.zeros(len(encoded), np.int32), "gain": np.zeros(len(encoded), np.float32)}
        results["steps"] = np.zeros(len(encoded), np.int32)
        state, lanes = self._empty(), Occupancy(self._population, encoded, self._num_devices)
        while lanes.refill():
            state, report = self._compiled(lanes.prepared, state, lanes.fresh, self._samples)
            report = {name: np.asarray(column) for name, column in report.items()}
            done = (lanes.held >= 0) & report.pop("decided")
            for name, column in report.items():
                results[name][lanes.held[done]] = column[done]
            lanes.leave(done)
        return results

    def _memory_needed(self, prepared: PyTree) -> int:
        prepared = jax.tree.map(lambda leaf: np.stack([leaf] * self._num_devices), prepared)
        fresh = np.zeros((self._num_devices, self._population.lanes), bool)
        return memory_needed(self._compiled, prepared, self._empty(), fresh, self._samples)

    def _empty(self) -> Descents:
        start = self._problem.start
        variable = jnp.broadcast_to(start, (self._population.lanes, *start.shape))
        state = Descents(
            variable, self._momentum.init(variable), jnp.zeros(self._population.lanes, jnp.int32), self._population.memory()
        )
        return replicate(state, self._num_devices)

    # --- on a device -----------------------------------------------------------------------------------------------------------

    def _advance(self, population: PyTree, state: Descents, fresh: Array, samples: PyTree) -> tuple[Descents, dict[str, Array]]:
        """Some iterations for all lanes; `fresh` lanes begin anew. `samples` are start and context of the problem."""
        self.compilations += 1  # counted while tracing: once per compilation
        start, context = samples
        variable = _where(fresh, start, state.variable)
        momentum = jax.tree.map(lambda leaf: _where(fresh, 0, leaf), state.momentum)
        steps = jnp.where(fresh, 0, state.steps)

        def descend(memory: PyTree, part: PyTree) -> tuple[PyTree, PyTree]:
            variable, momentum, start, context = part
            memory = self._population.begin(population, memory, start, context)
            gradients = functools.partial(self._population.gradients, population)

            def iteration(index: Array, carry: PyTree) -> PyTree:
                variable, momentum, memory = carry
                gradient, memory = gradients(memory, variable, context)
                update, moved = self._momentum.update(gradient, momentum)
                running = steps + index < self.settings.iterations
                keep = functools.partial(_where, running)
                variable = keep(variable - self.settings.rate * update, variable)
                return variable, jax.tree.map(keep, moved, momentum), memory

            variable, momentum, memory = jax.lax.fori_loop(0, self._stride, iteration, (variable, momentum, memory))
            settled = jnp.zeros(variable.shape[:2], bool)
            if self._shortcuts:
                gradient, memory = gradients(memory, variable, context)
                settled = self._settled(variable, momentum, gradient)
            return memory, (variable, momentum, settled)

        split = functools.partial(_split, size=self._population.samples)
        moving = jax.tree.map(functools.partial(split, axis=1), (variable, momentum))
        parts = (*moving, *jax.tree.map(split, (start, context)))
        memory, (variable, momentum, settled) = jax.lax.scan(descend, state.memory, parts)
        variable, momentum, settled = jax.tree.map(_join, (variable, momentum, settled))
        steps = jnp.minimum(steps + self._stride, self.settings.iterations)
        return Descents(variable, momentum, steps, memory), self._report(variable, context, steps, settled)

    def _settled(self, variable: Array, momentum: PyTree, gradient: Array) -> Array:
        """bool `[P, T]`: samples that no later iteration can change.

        A gradient that stays as it is moves the trace towards `gradient / (1 - momentum)`. Where neither that nor the present
        trace changes the variable by rounding, nothing will, since the gradient then stays as it is.
        """
        limit = jnp.abs(gradient) / (1 - self.settings.momentum)
        largest = functools.reduce(jnp.maximum, map(jnp.abs, jax.tree.leaves(momentum)), limit)
        step = 1.01 * self.settings.rate * largest
        stands = (variable + step == variable) & (variable - step == variable)
        return jnp.all(stands, axis=tuple(range(2, variable.ndim)))

    def _report(self, variable: Array, context: PyTree, steps: Array, settled: Array) -> dict[str, Array]:
        finite = jnp.all(jnp.isfinite(variable), axis=tuple(range(2, variable.ndim)))
        problem = dataclasses.replace(self._problem, context=context)
        end_metric = jnp.where(finite, jax.vmap(problem.metrics)(variable), 0)
        gain = jnp.mean(end_metric - self._start_metric, axis=1)
        failed = jnp.where(jnp.all(finite, axis=1), code_of(NO_METRIC_GAIN, REASONS), code_of(NON_FINITE_OPTIMISATION, REASONS))
        passed = gain >= self._gain - ROUNDING
        # A prediction that is no longer finite stays so.
        decided = (steps >= self.settings.iterations) | jnp.all(settled | ~finite, axis=1)
        if not self._shortcuts:
            decided = steps >= self.settings.iterations
        return {
            "reason": jnp.where(passed, PASSED, failed).astype(jnp.int32),
            "gain": gain,
            "steps": steps,
            "decided": decided,
        }


def _where(lanes: Array, chosen: Array, other: Array) -> Array:
    """`jnp.where` with one condition per lane, `[P]`."""
    return jnp.where(lanes.reshape(-1, *[1] * (other.ndim - 1)), chosen, other)


def _split(leaf: Array, size: int, axis: int = 0) -> Array:
    """Divides the samples on an axis into parts of equal size, on a new leading axis."""
    parts = leaf.reshape(*leaf.shape[:axis], -1, size, *leaf.shape[axis + 1 :])
    return jnp.moveaxis(parts, axis, 0)


def _join(leaf: Array) -> Array:
    """The inverse of `_split` for lanes: `[parts, P, size, ...]` to `[P, B, ...]`."""
    leaf = jnp.moveaxis(leaf, 0, 1)
    return leaf.reshape(leaf.shape[0], -1, *leaf.shape[3:])
