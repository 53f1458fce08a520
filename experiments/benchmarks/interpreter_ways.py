"""What the interpreter benchmark compares: a population in few calls, or a function for each graph."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp

from experiments.benchmarks import common
from experiments.benchmarks.common import BRANCH
from jaxloss.core.devices import memory_budget
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.reduce import total_loss
from jaxloss.core.types import Array, PyTree
from jaxloss.filters.occupancy import Occupancy
from jaxloss.filters.population import BLOCKS, VMAP, Population, make_population
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.interpret import interpret
from jaxloss.graphs.program import POPULATION_AXES

LAYOUT = BRANCH.form.layout
# More tensors than the forward and backward operations of a tree of depth three have.
RESULTS_OF_A_TREE = 32


@dataclasses.dataclass
class Calls:
    """A population as calls of one compiled function, each with up to `lanes` graphs."""

    call: Callable[..., tuple[Array, PyTree]]
    shares: list[PyTree]
    memory: PyTree
    problem: RejectionProblem
    compile_seconds: float
    prepare_seconds: float
    lanes: int

    def __call__(self) -> None:
        # One result at a time: those of a large population would fill the memory.
        for share in self.shares:
            result, self.memory = self.call(share, self.memory, self.problem.start, self.problem.context)
            jax.block_until_ready(result)


def prepare(way: str, problem: RejectionProblem, graphs: Sequence[Graph]) -> Calls:
    """Compiles one of the ways of a population, and sorts the graphs into calls."""
    batching, budget = VMAP, memory_budget()
    if way == "blocks_gradient":
        batching, budget = BLOCKS, min(budget, RESULTS_OF_A_TREE * len(graphs) * problem.start.nbytes)
    population = make_population(problem, LAYOUT, batching, False, len(graphs), budget)
    shares, prepare_seconds = common.timed(lambda: jax.device_put(list(_shares(population, graphs))))
    function = jax.jit(_losses(problem) if way == "vmap_forward" else _gradients(population), donate_argnums=1)
    memory = population.memory()
    arguments = (shares[0], memory, problem.start, problem.context)
    _, compile_seconds = common.timed(lambda: function.lower(*arguments).compile())
    return Calls(function, shares, memory, problem, compile_seconds, prepare_seconds, population.lanes)


def _shares(population: Population, graphs: Sequence[Graph]) -> Iterator[PyTree]:
    """The graphs in groups that fit into one call."""
    lanes = Occupancy(population, [population.encode(graph) for graph in graphs], num_devices=1)
    while lanes.refill():
        yield jax.tree.map(lambda leaf: leaf[0], lanes.prepared)
        lanes.leave(lanes.held >= 0)


def _losses(problem: RejectionProblem) -> Callable[..., tuple[Array, PyTree]]:
    def losses(programs: PyTree, memory: PyTree, start: Array, context: PyTree) -> tuple[Array, PyTree]:
        inputs = problem.inputs(start, context)

        def loss(program: PyTree) -> Array:
            return total_loss(interpret(program, LAYOUT, inputs), inputs)

        return jax.vmap(loss, in_axes=(POPULATION_AXES,))(programs), memory

    return losses


def _gradients(population: Population) -> Callable[..., tuple[Array, PyTree]]:
    def gradients(prepared: PyTree, memory: PyTree, start: Array, context: PyTree) -> tuple[Array, PyTree]:
        memory = population.begin(prepared, memory, start, context)
        variable = jnp.broadcast_to(start, (population.lanes, *start.shape))
        return population.gradients(prepared, memory, variable, context)

    return gradients


def alone(graph: Graph, problem: RejectionProblem, gradient: bool) -> Callable[[Array, PyTree], Array]:
    """`(variable, context)` to the total loss of one graph in its compiled form, or to its gradient."""
    values = compile_graph(graph, LAYOUT.operators)

    def loss(variable: Array, context: PyTree) -> Array:
        inputs = problem.inputs(variable, context)
        return total_loss(values(inputs), inputs)

    return jax.grad(loss) if gradient else loss
