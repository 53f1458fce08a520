"""Graphs as arrays of fixed size: what the interpreter runs and `vmap` stacks."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from jaxloss.core.types import Array, Granularity
from jaxloss.graphs.graph import CONSTANT, Graph, Node, constant
from jaxloss.graphs.operators.operator import OperatorSet


class ProgramOverflow(Exception):
    """A graph that does not fit the fixed size of its space. Searches draw the edit again."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The fixed size of the programs of a space, and how their registers are numbered.

    Registers `[0, I)` are the inputs, `[I, I + K)` the constants, `[I + K, I + K + L)` the results of the instructions.

    Attributes:
      operators: the operator set that opcodes refer to.
      inputs: names of the inputs, in register order.
      max_instructions: `L`.
      max_constants: `K`.
      per_sample_inputs: those inputs that hold one value per sample.
    """

    operators: OperatorSet
    inputs: tuple[str, ...]
    max_instructions: int
    max_constants: int = 1
    per_sample_inputs: frozenset[str] = frozenset()

    @property
    def first_result(self) -> int:
        """The first register that holds a result: inputs and constants come before."""
        return len(self.inputs) + self.max_constants


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Program:
    """One graph as arrays. Stacking programs adds a leading axis `P` to all fields but `length`.

    Attributes:
      opcodes: int32 `[L]`, see `OperatorSet`; 0 in unused slots.
      backward_opcodes: int32 `[L]`, as `opcodes`, but 0 where no gradient passes from the output (behind a Detach).
      operands: int32 `[L, 2]` registers; 0 where there is no operand.
      constants: float `[K]`.
      output: int32 `[]` the register that holds the result.
      per_sample: bool `[]`, the result is one value per sample.
      length: int32 `[]`, how many instructions are run: not batched in a population, where it is the longest.
    """

    opcodes: Array
    backward_opcodes: Array
    operands: Array
    constants: Array
    output: Array
    per_sample: Array
    length: Array


# `in_axes` for a stacked population.
POPULATION_AXES = Program(opcodes=0, backward_opcodes=0, operands=0, constants=0, output=0, per_sample=0, length=None)


def encode(graph: Graph, layout: Layout) -> Program:
    """Writes a graph as a program (NumPy arrays); equal sub-expressions take one slot.

    Raises:
      ProgramOverflow: when the graph needs more instructions or constants than the layout has.
    """
    graph = graph.merged()
    kinds = graph.granularities(layout.operators, layout.per_sample_inputs)
    values = sorted({node.value for node in graph.nodes if node.is_constant})
    if graph.num_operators > layout.max_instructions or len(values) > layout.max_constants:
        raise ProgramOverflow(f"{graph.num_operators} operators and {len(values)} constants")
    opcodes = np.zeros(layout.max_instructions, np.int32)
    operands = np.zeros((layout.max_instructions, 2), np.int32)
    registers: list[int] = []
    slot_of: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        if node.is_constant:
            registers.append(len(layout.inputs) + values.index(node.value))
        elif node.is_input:
            registers.append(layout.inputs.index(node.name))
        else:
            slot = slot_of[index] = len(slot_of)
            name, operator = node.name, layout.operators[node.name]
            if operator.on_samples and all(kinds[i] is Granularity.SAMPLE for i in node.operands):
                name = operator.on_samples
            opcodes[slot] = layout.operators.opcodes[name]
            operands[slot, : len(node.operands)] = [registers[i] for i in node.operands]
            registers.append(layout.first_result + slot)
    constants = np.ones(layout.max_constants, np.float64)
    constants[: len(values)] = values
    return Program(
        opcodes=opcodes,
        backward_opcodes=np.where(_gradient_passes(graph, layout, slot_of), opcodes, 0).astype(np.int32),
        operands=operands,
        constants=constants,
        output=np.int32(registers[-1]),
        per_sample=np.bool_(kinds[-1] is Granularity.SAMPLE),
        length=np.int32(len(slot_of)),
    )


def fits(graph: Graph, layout: Layout) -> bool:
    """Whether `encode` has room for the graph."""
    constants = {node.value for node in graph.nodes if node.is_constant}
    if len(constants) > layout.max_constants:
        return False
    # It may fit only once equal parts are computed once; that costs more to find out.
    return graph.num_operators <= layout.max_instructions or graph.merged().num_operators <= layout.max_instructions


def _gradient_passes(graph: Graph, layout: Layout, slot_of: dict[int, int]) -> np.ndarray:
    """bool `[L]`: the slots that a cotangent reaches from the output without crossing a Detach."""
    reached = [False] * (len(graph.nodes) - 1) + [True]
    for index in reversed(range(len(graph.nodes))):
        node = graph.nodes[index]
        if reached[index] and node.is_operator and layout.operators[node.name].passes_gradient:
            for operand in node.operands:
                reached[operand] = True
    passes = np.zeros(layout.max_instructions, bool)
    for index, slot in slot_of.items():
        passes[slot] = reached[index]
    return passes


def decode(program: Program, layout: Layout) -> Graph:
    """The graph that a program computes, for reading; `encode(decode(p)) == p` for encoded programs."""
    hidden = {operator.on_samples: operator.name for operator in layout.operators.operators if operator.on_samples}
    nodes: list[Node] = [Node(name) for name in layout.inputs] + [constant(value) for value in np.asarray(program.constants)]
    for opcode, operands in zip(np.asarray(program.opcodes), np.asarray(program.operands), strict=True):
        if opcode == 0:
            break
        operator = layout.operators.operators[opcode - 1]
        name = hidden[operator.name] if operator.hidden else operator.name
        nodes.append(Node(name, tuple(int(i) for i in operands[: operator.arity])))
    return Graph.build(nodes, int(program.output))


def stack(programs: Sequence[Program]) -> Program:
    """A population: every field stacked on a leading axis `P`, `length` the longest of all (not batched)."""
    stacked = jax.tree.map(lambda *rows: np.stack(rows), *programs)
    return dataclasses.replace(stacked, length=np.int32(stacked.length.max()))


# Random trees three operators deep have at most 7.
NUM_SLOTS = (8, 16)


def shortened(programs: Program) -> Program:
    """Leaves out slots that none of the programs uses, down to one of a few numbers: what runs all slots is compiled for each."""
    longest = int(np.max(programs.length))
    slots = next((number for number in NUM_SLOTS if number >= longest), programs.opcodes.shape[-1])
    return dataclasses.replace(
        programs,
        opcodes=programs.opcodes[..., :slots],
        backward_opcodes=programs.backward_opcodes[..., :slots],
        operands=programs.operands[..., :slots, :],
    )


__all__ = [
    "CONSTANT",
    "POPULATION_AXES",
    "Layout",
    "Program",
    "ProgramOverflow",
    "decode",
    "encode",
    "fits",
    "shortened",
    "stack",
]
