"""The rejection protocol without the population: one candidate after the other, eagerly or with a `jit` of its own.

What the rejection benchmark compares with, in speed and in verdicts. Written from the paper (AutoLoss-Zero, Section 3.2 and
Appendix A) and optax's SGD, without the lanes of `filters.rejection`.
"""

import time
from collections.abc import Callable, Sequence

import jax
import numpy as np
import optax

from experiments.benchmarks.common import BRANCH
from jaxloss.core.problem import RejectionProblem, batch_of_one
from jaxloss.core.reduce import total_loss
from jaxloss.core.types import Array, PyTree
from jaxloss.core.verdicts import PASSED, code_of
from jaxloss.filters.rejection import NO_METRIC_GAIN, NON_FINITE_OPTIMISATION, REASONS, ROUNDING
from jaxloss.filters.settings import RejectionSettings
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.operators.operator import OperatorSet

Gradients = Callable[[Array], Array]
Descent = Callable[[RejectionProblem, RejectionSettings, Gradients], Array]


def gradients_of(graph: Graph, problem: RejectionProblem, operators: OperatorSet = BRANCH.form.layout.operators) -> Gradients:
    """`variable [B, H, W, C] -> gradient`, every sample for itself, from the compiled form of the graph."""
    loss = compile_graph(graph, operators)

    def total(value: Array, context: PyTree) -> Array:
        inputs = problem.inputs(value[None], batch_of_one(context))
        return total_loss(loss(inputs), inputs)

    return lambda variable: jax.vmap(jax.grad(total))(variable, problem.context)


def descend_eagerly(problem: RejectionProblem, settings: RejectionSettings, gradients: Gradients) -> Array:
    """The end of the descent, `[B, H, W, C]`, operation by operation."""
    optimiser = optax.sgd(settings.learning_rate, momentum=settings.momentum)
    variable, state = problem.start, optimiser.init(problem.start)
    for _ in range(settings.iterations):
        updates, state = optimiser.update(gradients(variable), state)
        variable = optax.apply_updates(variable, updates)
    return variable


def descend_compiled(problem: RejectionProblem, settings: RejectionSettings, gradients: Gradients) -> Array:
    """The same as one `scan` in one `jit`, compiled in every call."""
    optimiser = optax.sgd(settings.learning_rate, momentum=settings.momentum)

    @jax.jit
    def descend(start: Array) -> Array:
        def step(carry, _):
            variable, state = carry
            updates, state = optimiser.update(gradients(variable), state)
            return (optax.apply_updates(variable, updates), state), None

        return jax.lax.scan(step, (start, optimiser.init(start)), length=settings.iterations)[0][0]

    return descend(problem.start)


def separately(
    descend: Descent,
    graphs: Sequence[Graph],
    problem: RejectionProblem,
    settings: RejectionSettings,
    operators: OperatorSet = BRANCH.form.layout.operators,
) -> tuple[list[int], float]:
    """The code of the verdict on every graph, and the seconds that all descents took."""
    jax.block_until_ready(
        descend(problem, settings, gradients_of(graphs[0], problem, operators))
    )  # what is loaded once is not counted
    begin = time.perf_counter()
    ends = [jax.block_until_ready(descend(problem, settings, gradients_of(graph, problem, operators))) for graph in graphs]
    seconds = time.perf_counter() - begin
    return [_verdict(variable, problem, settings) for variable in ends], seconds


def _verdict(variable: Array, problem: RejectionProblem, settings: RejectionSettings) -> int:
    finite = np.isfinite(variable).all(axis=(1, 2, 3))
    end_metric = np.where(finite, problem.metrics(variable), 0)
    if float(np.mean(end_metric - problem.metrics(problem.start))) >= settings.minimum_gain - ROUNDING:
        return PASSED
    return code_of(NO_METRIC_GAIN if finite.all() else NON_FINITE_OPTIMISATION, REASONS)
