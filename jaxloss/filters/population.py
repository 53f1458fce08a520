"""Gradients of a population of graphs on a rejection problem, in one call: two ways with the same results.

- `blocks`: the instructions of all graphs, sorted into blocks of one operation each (`graphs.blocks.schedule`). Nothing is
  computed that is not needed; the fastest on a CPU.
- `vmap`: the interpreter under `vmap`. Every operator is computed at every step and one result selected, but there is no
  branch that an accelerator would have to wait for. Graphs without aggregation get a program of their own, without pooling.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.problem import RejectionProblem, batch_of_one
from jaxloss.core.reduce import total_loss
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.graphs.blocks.dependence import dependence
from jaxloss.graphs.blocks.lowering import Lowered, lower
from jaxloss.graphs.blocks.schedule import Schedule, Shape, make_schedule
from jaxloss.graphs.blocks.sweeps import Blocks
from jaxloss.graphs.graph import Graph, Node
from jaxloss.graphs.interpret import input_tensor, interpret, loops_ask_the_host
from jaxloss.graphs.program import POPULATION_AXES, Layout, Program, encode, shortened, stack

BLOCKS, VMAP, AUTO = "blocks", "vmap", "auto"
BATCHINGS = (AUTO, BLOCKS, VMAP)

# Measured on two CPU cores. XLA divides an operation among its threads, at a cost far above that of the operation, when it
# reads 512 KiB; and the whole memory of the blocks counts as read. Smaller ones stay on one core and in its cache.
CPU_MEMORY = 448 * 1024
ROW_SIZE, BLOCK_SIZE, MAX_BLOCK_SIZE, VECTOR = 128, 1024, 2048, 16
# Rows that are in use at a time, for each lane: the variable, and results that are still to be read; usually, and at most.
ROWS_PER_LANE, MOST_ROWS_PER_LANE = 6, 32
MAX_LANES = {BLOCKS: 256, VMAP: 4096}
# Numbers of all lanes together from which more lanes fill no GPU any better. All lanes are computed, the empty ones too: with
# images, as many as the memory holds would take minutes for the few candidates that a search asks about at a time.
VMAP_NUMBERS = 2**22
# More lanes are worth compiling once more where the memory has room for so many times as many.
WORTH_WHILE = 1.1


def resolve_batching(batching: str) -> str:
    """`auto` is `blocks` on the CPU and `vmap` elsewhere."""
    if batching != AUTO:
        return batching
    return BLOCKS if jax.default_backend() == "cpu" else VMAP


class Population(Protocol):
    """A way to take the gradients of up to `lanes` graphs at once. `encode` and `prepare` are for the host, the rest is pure.

    Attributes:
      lanes: `P`.
      samples: `T`, how many samples of the problem one call takes; it divides their number.
    """

    lanes: int
    samples: int

    def encode(self, graph: Graph) -> PyTree:
        """What is needed of one graph, made once."""

    def size(self, encoded: PyTree) -> int:
        """Graphs of about the same size are best taken together, small ones first."""

    def fit(self, needed: Callable[[PyTree], int]) -> None:
        """Makes `lanes` as many as fit into the memory.

        Args:
          needed: bytes of a call with the present lanes, given what `prepare` makes of the largest graphs; found by compiling.
        """

    def prepare(self, encoded: Sequence[PyTree | None]) -> PyTree | None:
        """At most `lanes` graphs as arrays of fixed size; None is an empty lane. None where they are too large together."""

    def stack(self, prepared: Sequence[PyTree]) -> PyTree:
        """What several devices get, as one pytree with a leading axis."""

    def memory(self) -> PyTree:
        """Room for values, to be handed from call to call."""

    def begin(self, population: PyTree, memory: PyTree, start: Array, context: PyTree) -> PyTree:
        """Prepares the memory for samples that begin at `start` `[T, H, W, C]`."""

    def gradients(self, population: PyTree, memory: PyTree, variable: Array, context: PyTree) -> tuple[Array, PyTree]:
        """The gradient of every lane's total loss at its variable `[P, T, H, W, C]`, and the memory."""


def fit_lanes(population: Population, needed: Callable[[PyTree], int], most: int, budget: int) -> None:
    """Sets `population.lanes` to as many as fit, at most `most`, see `Population.fit`."""
    if population.lanes == most:
        return
    bytes_needed = needed(population.prepare([]))
    if budget > WORTH_WHILE * bytes_needed:
        population.lanes = min(most, population.lanes * budget // bytes_needed)
        bytes_needed = needed(population.prepare([]))
    while bytes_needed > budget and population.lanes > 1:
        population.lanes = min(population.lanes - 1, max(1, population.lanes * budget // bytes_needed))
        bytes_needed = needed(population.prepare([]))


def make_population(
    problem: RejectionProblem, layout: Layout, batching: str, apart: bool, lanes: int, budget: int
) -> "BlockPopulation | VmapPopulation":
    """A population of a size that suits problem, device and memory.

    Args:
      problem: whose inputs the graphs read.
      layout: of their programs.
      batching: `blocks` or `vmap`.
      apart: every sample is a problem of its own, as in the rejection protocol; else they are one batch.
      lanes: candidates at once, 0 for as many as suit the device.
      budget: bytes that the population may take.
    """
    samples = problem.start.shape[0]
    if batching == BLOCKS and apart:
        one = problem.start[0].size
        samples = max(part for part in range(1, samples + 1) if samples % part == 0 and (part * one <= ROW_SIZE or part == 1))
    if batching == BLOCKS:
        return BlockPopulation(problem, layout, apart, samples, lanes or MAX_LANES[batching], budget)
    most = min(MAX_LANES[batching], max(1, VMAP_NUMBERS // problem.start.size))
    return VmapPopulation(problem, layout, apart, samples, lanes or most, budget)


@dataclasses.dataclass(frozen=True)
class _View:
    """The inputs of a problem for some of its samples, each for itself (`apart`) or as one batch."""

    problem: RejectionProblem
    apart: bool

    def inputs(self, variable: Array, context: PyTree) -> LossInputs:
        """The inputs for samples `[T, H, W, C]`, joined along the samples."""
        if not self.apart:
            return self.problem.inputs(variable, context)
        apart = jax.vmap(lambda value, one: self.problem.inputs(value[None], batch_of_one(one)))(variable, context)
        return jax.tree.map(lambda leaf: leaf[:, 0], apart)

    def varying(self, names: Sequence[str]) -> tuple[int, ...]:
        """Positions of the inputs that depend on the variable."""
        start, context = self.problem.start[:1], jax.tree.map(lambda leaf: leaf[:1], self.problem.context)
        depends = dependence(lambda value: [self.inputs(value, context).arrays[name] for name in names], start)
        return tuple(int(position) for position in np.flatnonzero(depends[:, 0]))


def _width(size: int) -> int:
    """Rows of a block, for rows of `size` numbers.

    A block of many rows is a whole number of vectors: what is left over is computed by other code, that rounds differently,
    and what is found out of a graph would depend on its place in the block.
    """
    whole = [width for width in (16, 8, 4, 2) if width * size % VECTOR == 0 and width * size <= MAX_BLOCK_SIZE]
    return next((width for width in whole if width * size <= BLOCK_SIZE), whole[-1] if whole else 1)


class BlockPopulation:
    """All operations of all lanes in blocks of equal operations. See `Population`."""

    def __init__(self, problem: RejectionProblem, layout: Layout, apart: bool, samples: int, lanes: int, budget: int):
        """See `make_population`; fewer than `lanes` where their values would not fit."""
        self._view, self._layout = _View(problem, apart), layout
        self.samples = samples
        start, context = problem.start[:samples], jax.tree.map(lambda leaf: leaf[:samples], problem.context)
        inputs = jax.eval_shape(self._view.inputs, start, context)
        shapes = [inputs.arrays[name].shape for name in layout.inputs]
        self._tensor = jnp.broadcast_shapes(*shapes)
        self._dtype = jnp.result_type(*inputs.arrays.values())
        size = math.prod(self._tensor)
        budget = min(budget, CPU_MEMORY) if jax.default_backend() == "cpu" else budget
        num_rows = budget // (size * self._dtype.itemsize)
        self.lanes = max(1, min(lanes, num_rows // ROWS_PER_LANE))
        num_rows = min(num_rows, self.lanes * MOST_ROWS_PER_LANE)
        self._shape = Shape.for_memory(layout, self._view.varying(layout.inputs), self.lanes, _width(size), num_rows)

    def encode(self, graph: Graph) -> Lowered:
        """See `Population.encode`."""
        return _lowered(graph, self._layout, self._shape.varying)

    def size(self, encoded: Lowered) -> int:
        """See `Population.size`."""
        return 0  # blocks take all sizes alike

    def fit(self, needed: Callable[[PyTree], int]) -> None:
        """Nothing to be done: the memory was made for the budget."""

    def prepare(self, encoded: Sequence[Lowered | None]) -> Schedule | None:
        """See `Population.prepare`."""
        return make_schedule(encoded, self._shape)

    def stack(self, prepared: Sequence[Schedule]) -> Schedule:
        """See `Population.stack`."""
        return jax.tree.map(lambda *slices: np.stack(slices), *prepared)

    def memory(self) -> Array:
        """See `Population.memory`."""
        return jnp.zeros((self._shape.num_rows, math.prod(self._tensor)), self._dtype)

    def begin(self, population: Schedule, memory: Array, start: Array, context: PyTree) -> Array:
        """See `Population.begin`."""
        inputs = self._view.inputs(start, context)
        return self._blocks(inputs).begin(population, memory, inputs)

    def gradients(self, population: Schedule, memory: Array, variable: Array, context: PyTree) -> tuple[Array, Array]:
        """See `Population.gradients`."""
        names = [self._layout.inputs[position] for position in self._shape.varying]

        def varying(variable: Array) -> Array:
            def of_lane(value: Array) -> Array:
                inputs = self._view.inputs(value, context)
                tensors = [jnp.broadcast_to(input_tensor(inputs, name), self._tensor) for name in names]
                return jnp.stack(tensors)

            return jax.vmap(of_lane, out_axes=1)(variable)

        values, pull_back = jax.vjp(varying, variable)
        # The mask depends on the samples, not on the value that is optimised.
        blocks = self._blocks(self._view.inputs(variable[0], context))
        to_values, memory = blocks.gradients(population, memory, values)
        return pull_back(to_values)[0], memory

    def _blocks(self, inputs: LossInputs) -> Blocks:
        cotangent = jnp.broadcast_to(inputs.mask, self._tensor).astype(self._dtype)
        return Blocks(self._shape, inputs.mask, cotangent, self._view.apart)


# What has a gradient goes on to the protocol, with the same instructions.
@functools.lru_cache(maxsize=4096)
def _lowered(graph: Graph, layout: Layout, varying: tuple[int, ...]) -> Lowered:
    return lower(encode(graph, layout), layout, varying)


class VmapPopulation:
    """The interpreter under `vmap`. See `Population`."""

    def __init__(self, problem: RejectionProblem, layout: Layout, apart: bool, samples: int, lanes: int, budget: int):
        """See `make_population`; fewer than `lanes` where their values would not fit."""
        self._view, self._layout = _View(problem, apart), layout
        self.samples = samples
        self._most, self._budget = lanes, budget
        self._all_slots = loops_ask_the_host()
        # A guess on the safe side: registers, their cotangents, and what every operator computes before one is selected, each
        # twice, as it takes a copy to change them. The compiler finds room for more, see `fit`.
        num_tensors = 4 * (layout.first_result + layout.max_instructions) + 4 * len(layout.operators.operators)
        self.lanes = max(1, min(lanes, budget // (num_tensors * problem.start[:samples].nbytes)))

    def encode(self, graph: Graph) -> Program:
        """See `Population.encode`."""
        return encode(graph, self._layout)

    def size(self, encoded: Program) -> int:
        """See `Population.size`."""
        return int(encoded.length)

    def fit(self, needed: Callable[[PyTree], int]) -> None:
        """See `Population.fit`. Where more lanes than are wanted seem to fit, nothing is compiled to find out."""
        fit_lanes(self, needed, self._most, self._budget)

    def prepare(self, encoded: Sequence[Program | None]) -> Program:
        """See `Population.prepare`."""
        rows = [_blank(self._layout) if program is None else program for program in encoded]
        return stack(rows + [_blank(self._layout)] * (self.lanes - len(rows)))

    def stack(self, prepared: Sequence[Program]) -> Program:
        """See `Population.stack`."""
        stacked = jax.tree.map(lambda *slices: np.stack(slices), *prepared)
        return shortened(stacked) if self._all_slots else stacked

    def memory(self) -> PyTree:
        """See `Population.memory`."""
        return ()

    def begin(self, population: Program, memory: PyTree, start: Array, context: PyTree) -> PyTree:
        """See `Population.begin`."""
        del population, start, context
        return memory

    def gradients(self, population: Program, memory: PyTree, variable: Array, context: PyTree) -> tuple[Array, PyTree]:
        """See `Population.gradients`."""

        def loss(variable: Array, context: PyTree, program: Program) -> Array:
            inputs = self._view.problem.inputs(variable, context)
            return total_loss(interpret(program, self._layout, inputs, all_slots=self._all_slots), inputs)

        def of_lane(program: Program, variable: Array) -> Array:
            if not self._view.apart:
                return jax.grad(loss)(variable, context, program)
            return jax.vmap(lambda value, one: jax.grad(loss)(value[None], batch_of_one(one), program)[0])(variable, context)

        return jax.vmap(of_lane, in_axes=(POPULATION_AXES, 0))(population, variable), memory


@functools.cache
def _blank(layout: Layout) -> Program:
    return encode(Graph((Node(layout.inputs[0]),)), layout)
