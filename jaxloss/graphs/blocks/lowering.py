"""From a program to the instructions that its gradient needs, and no others.

What is left out: operations whose value neither the output's gradient reads nor another needed operation; the branches of the
backward sweep that do not lead to a varying input; and cotangents that an operation hands on unchanged (Add), which share the
place of the original. What does not depend on a varying input is marked: a descent computes it once, not in every iteration.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.graphs.blocks.dependence import dependence, identities
from jaxloss.graphs.interpret import pull_back
from jaxloss.graphs.operators.operator import Neighbourhood, OperatorSet
from jaxloss.graphs.program import Layout, Program

# An instruction's operation: ACCUMULATE, a forward operation (its opcode), or one operand's side of a backward operation.
ACCUMULATE = 0


@dataclasses.dataclass(frozen=True)
class Backward:
    """One operand's side of an operator's backward operation.

    Attributes:
      operation: its number.
      opcode: of the operator.
      operand: 0 or 1.
      reads: which operands' values the cotangent depends on.
      hands_on: the cotangent is the incoming one, unchanged.
    """

    operation: int
    opcode: int
    operand: int
    reads: tuple[int, ...]
    hands_on: bool


@functools.cache
def backward_operations(operators: OperatorSet) -> dict[tuple[int, int], Backward]:
    """(opcode, operand) -> its backward operation, for every operator that passes a gradient."""
    found = {}
    neighbourhood = Neighbourhood(jnp.ones((1, 2, 2, 1), bool))
    tensor = jax.ShapeDtypeStruct((1, 2, 2, 2), jnp.float32)
    for position, operator in enumerate(operators.operators):
        if not operator.passes_gradient:
            continue
        function = pull_back(operator, neighbourhood)
        arguments = [tensor] * (1 + operator.arity)
        depends, identical = dependence(function, *arguments), identities(function, *arguments)
        for operand in range(operator.arity):
            reads = tuple(int(i) - 1 for i in np.flatnonzero(depends[operand]) if i > 0)
            number = 1 + len(operators.operators) + len(found)
            found[position + 1, operand] = Backward(number, position + 1, operand, reads, bool(identical[operand] == 0))
    return found


@dataclasses.dataclass(frozen=True)
class Lowered:
    """The instructions of one program. Values have local numbers: first the registers of the layout, then cotangents.

    Attributes:
      operations: int32 `[M]`, see `ACCUMULATE` and `backward_operations`.
      once: bool `[M]`, does not depend on a varying input.
      levels: int32 `[M]`, an instruction comes after those of lower levels that are of its kind (`once` or not).
      results: int32 `[M]` local number of what it computes.
      operands: int32 `[M, 3]` local numbers: two values and the incoming cotangent, or two cotangents to be added; 0 where
        it reads nothing.
      gradients: int32 `[V]` local numbers of the gradients with respect to the varying inputs, -1 for zero.
      constants: float `[K]`.
    """

    operations: np.ndarray
    once: np.ndarray
    levels: np.ndarray
    results: np.ndarray
    operands: np.ndarray
    gradients: np.ndarray
    constants: np.ndarray


def seed_number(layout: Layout, per_sample: bool) -> int:
    """Local number of the cotangent of the output: of one value per element, or of one per sample."""
    return layout.first_result + layout.max_instructions + int(per_sample)


def max_instructions(layout: Layout) -> int:
    """Bound on the instructions of a program: forward, two backward for each, and the sums of what is used several times."""
    return 4 * layout.max_instructions + 1


def num_local(layout: Layout) -> int:
    """How many local numbers a program may need: registers, two seeds, and what the backward sweep computes."""
    return layout.first_result + 2 + max_instructions(layout)


def lower(program: Program, layout: Layout, varying: tuple[int, ...]) -> Lowered:
    """Lowers one program.

    Args:
      program: as `encode` makes it.
      layout: its layout.
      varying: positions of the inputs whose gradient is wanted.
    """
    sweep = _BackwardSweep(program, layout, varying)
    instructions = sweep.instructions + _forward_instructions(sweep)
    return Lowered(
        operations=np.array([one.operation for one in instructions], np.int32),
        levels=np.array([one.level for one in instructions], np.int32),
        results=np.array([one.result for one in instructions], np.int32),
        operands=np.array([one.operands for one in instructions], np.int32).reshape(-1, 3),
        once=np.array([one.once for one in instructions], bool),
        gradients=np.array(sweep.gradients, np.int32),
        constants=np.asarray(program.constants),
    )


class _Instruction(NamedTuple):
    """One row of `Lowered`."""

    operation: int
    level: int
    result: int
    operands: tuple[int, int, int]
    once: bool = False


class _BackwardSweep:
    """The instructions from the output's cotangent to the gradients, in the order of the interpreter.

    Attributes:
      instructions: of the sweep.
      gradients: local numbers, see `Lowered`.
      read: registers whose values the sweep reads.
      varies: for each register, whether it depends on a varying input.
      operands: for each slot, the registers that it reads.
    """

    def __init__(self, program: Program, layout: Layout, varying: tuple[int, ...]):
        operators, self.first = layout.operators.operators, layout.first_result
        self.layout, self.length, self.opcodes = layout, int(program.length), program.opcodes.tolist()
        arities = [operators[opcode - 1].arity for opcode in self.opcodes[: self.length]]
        self.operands = [row[:arity] for row, arity in zip(program.operands.tolist(), arities, strict=False)]
        self.varies = [register in varying for register in range(self.first)]
        for registers in self.operands:
            self.varies.append(any(self.varies[register] for register in registers))

        self.instructions: list[_Instruction] = []
        self.read: set[int] = set()
        self._levels: dict[int, int] = {}
        self._next_number = seed_number(layout, True) + 1
        # Parts that are still to be added up, by register.
        self._parts: dict[int, list[int]] = {}
        output = int(program.output)
        if self.varies[output]:
            self._parts[output] = [seed_number(layout, bool(program.per_sample))]
        for slot in reversed(range(self.length)):
            if self.first + slot in self._parts:
                self._pull_back(slot)
        self.gradients = [self._total(register) if register in self._parts else -1 for register in varying]

    def _pull_back(self, slot: int) -> None:
        """From the cotangent of a slot to those of its operands."""
        backward, registers = backward_operations(self.layout.operators), self.operands[slot]
        edges = [(backward.get((self.opcodes[slot], operand)), register) for operand, register in enumerate(registers)]
        edges = [(edge, register) for edge, register in edges if edge is not None and self.varies[register]]
        if not edges:
            return
        incoming = self._total(self.first + slot)
        for edge, register in edges:
            part = incoming
            if not edge.hands_on:
                first, second = (registers[operand] if operand in edge.reads else 0 for operand in range(2))
                self.read.update(registers[operand] for operand in edge.reads)
                part = self._emit(edge.operation, (first, second, incoming), (incoming,))
            self._parts.setdefault(register, []).append(part)

    def _total(self, register: int) -> int:
        """The sum of all parts of a cotangent."""
        result, *parts = self._parts[register]
        for part in parts:
            result = self._emit(ACCUMULATE, (result, part, 0), (result, part))
        return result

    def _emit(self, operation: int, operands: tuple[int, int, int], incoming: tuple[int, ...]) -> int:
        number, self._next_number = self._next_number, self._next_number + 1
        self._levels[number] = level = 1 + max(self._levels.get(one, -1) for one in incoming)
        self.instructions.append(_Instruction(operation, level, number, operands))
        return number


def _forward_instructions(sweep: _BackwardSweep) -> list[_Instruction]:
    """The forward operations that something reads. Their levels are below those of all backward ones."""
    read, first = set(sweep.read), sweep.first
    for slot in reversed(range(sweep.length)):
        if first + slot in read:
            read.update(sweep.operands[slot])
    levels: dict[int, int] = {}
    instructions = []
    for slot, registers in enumerate(sweep.operands):
        result = first + slot
        if result not in read:
            continue
        once = not sweep.varies[result]
        before = [levels.get(register, -1) for register in registers if sweep.varies[register] is not once]
        levels[result] = 1 + max(before, default=-1)
        operands = (registers[0], registers[-1], 0)
        level = levels[result] - sweep.layout.max_instructions
        instructions.append(_Instruction(sweep.opcodes[slot], level, result, operands, once))
    return instructions
