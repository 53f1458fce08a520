"""The rejection protocol without the population: one candidate after the other, eagerly or with a `jit` of its own.

What the rejection benchmark compares with, in speed and in verdicts. Written from the paper (AutoLoss-Zero, Section 3.2 and
Appendix A) and optax's SGD, without the lanes of `filters.rejection`.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
import optax

from experiments.benchmarks.common import BRANCH, timed
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
# What is to be called for the end of the descent, `[B, H, W, C]`; making it may compile.
Descent = Callable[[RejectionProblem, RejectionSettings, Gradients], Callable[[], Array]]


class Separate(NamedTuple):
    """What one candidate after the other came to.

    Attributes:
      verdicts: the code of each.
      seconds: of all together.
      compile_seconds: those of them that went into compiling.
    """

    verdicts: list[int]
    seconds: float
    compile_seconds: float


def gradients_of(graph: Graph, problem: RejectionProblem, operators: OperatorSet = BRANCH.form.layout.operators) -> Gradients:
    """`variable [B, H, W, C] -> gradient`, every sample for itself, from the compiled form of the graph."""
    loss = compile_graph(graph, operators)

    def total(value: Array, context: PyTree) -> Array:
        inputs = problem.inputs(value[None], batch_of_one(context))
        return total_loss(loss(inputs), inputs)

    return lambda variable: jax.vmap(jax.grad(total))(variable, problem.context)


def descend_eagerly(problem: RejectionProblem, settings: RejectionSettings, gradients: Gradients) -> Callable[[], Array]:
    """Operation by operation."""
    optimiser = optax.sgd(settings.rate, momentum=settings.momentum)

    def descend() -> Array:
        variable, state = problem.start, optimiser.init(problem.start)
        for _ in range(settings.iterations):
            updates, state = optimiser.update(gradients(variable), state)
            variable = optax.apply_updates(variable, updates)
        return variable

    return descend


def descend_compiled(problem: RejectionProblem, settings: RejectionSettings, gradients: Gradients) -> Callable[[], Array]:
    """The same as one `scan` in one `jit`."""
    optimiser = optax.sgd(settings.rate, momentum=settings.momentum)

    @jax.jit
    def descend(start: Array) -> Array:
        def step(carry, _):
            variable, state = carry
            updates, state = optimiser.update(gradients(variable), state)
            return (optax.apply_updates(variable, updates), state), None

        return jax.lax.scan(step, (start, optimiser.init(start)), length=settings.iterations)[0][0]

    return functools.partial(descend.lower(problem.start).compile(), problem.start)


def separately(
    descend: Descent,
    graphs: Sequence[Graph],
    problem: RejectionProblem,
    settings: RejectionSettings,
    operators: OperatorSet = BRANCH.form.layout.operators,
) -> Separate:
    """Descends with every graph for itself."""
    # What is loaded once is not counted.
    jax.block_until_ready(descend(problem, settings, gradients_of(graphs[0], problem, operators))())
    begin = time.perf_counter()
    ends, compiling = [], 0.0
    for graph in graphs:
        run, seconds = timed(lambda graph=graph: descend(problem, settings, gradients_of(graph, problem, operators)))
        compiling += seconds
        ends.append(jax.block_until_ready(run()))
    seconds = time.perf_counter() - begin
    return Separate([_verdict(variable, problem, settings) for variable in ends], seconds, compiling)


def _verdict(variable: Array, problem: RejectionProblem, settings: RejectionSettings) -> int:
    finite = np.isfinite(variable).all(axis=(1, 2, 3))
    end_metric = np.where(finite, problem.metrics(variable), 0)
    if float(np.mean(end_metric - problem.metrics(problem.start))) >= settings.minimum_gain - ROUNDING:
        return PASSED
    return code_of(NO_METRIC_GAIN if finite.all() else NON_FINITE_OPTIMISATION, REASONS)
