"""From a program to the instructions that its gradient needs, and no others.

What is left out: operations whose value neither the output's gradient reads nor another needed operation; the branches of the
backward sweep that do not lead to a varying input; and cotangents that an operation hands on unchanged (Add), which share the
place of the original. What does not depend on a varying input is marked: a descent computes it once, not in every iteration.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.aggregations import Neighbourhood
from jaxloss.core.dependence import dependence, identities
from jaxloss.core.interpret import full_shape
from jaxloss.core.primitives import OperatorSet
from jaxloss.core.program import Layout, Program

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

        def pull_back(cotangent, *operands, operator=operator):
            return jax.vjp(full_shape(operator, neighbourhood), *operands)[1](cotangent)

        arguments = [tensor] * (1 + operator.arity)
        depends, identical = dependence(pull_back, *arguments), identities(pull_back, *arguments)
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
    backward = backward_operations(layout.operators)
    operators, first = layout.operators.operators, layout.first_result
    length, output = int(program.length), int(program.output)
    opcodes = program.opcodes.tolist()
    operands = [row[: operators[opcode - 1].arity] for row, opcode in zip(program.operands.tolist(), opcodes, strict=True)]

    varies = [register in varying for register in range(first)] + [False] * length
    for slot in range(length):
        varies[first + slot] = any(varies[register] for register in operands[slot])

    # The backward sweep, in the order of the interpreter.
    next_number = seed_number(layout, True) + 1
    cotangents: dict[int, list[int]] = {output: [seed_number(layout, bool(program.per_sample))]} if varies[output] else {}
    level_of: dict[int, int] = {}
    sweep: list[tuple[int, int, int, tuple[int, int, int]]] = []  # operation, level, result, operands
    read: set[int] = set()

    def emit(operation: int, first_value: int, second_value: int, incoming: tuple[int, ...]) -> int:
        nonlocal next_number
        level = 1 + max(level_of.get(number, -1) for number in incoming)
        third = incoming[0]
        values = (first_value, second_value, third) if operation != ACCUMULATE else (*incoming, 0)
        sweep.append((operation, level, next_number, values))
        level_of[next_number] = level
        next_number += 1
        return next_number - 1

    def total(register: int) -> int:
        parts = cotangents[register]
        result = parts[0]
        for part in parts[1:]:
            result = emit(ACCUMULATE, 0, 0, (result, part))
        return result

    for slot in reversed(range(length)):
        if first + slot not in cotangents:
            continue
        incoming = None
        for operand, register in enumerate(operands[slot]):
            edge = backward.get((opcodes[slot], operand))
            if edge is None or not varies[register]:
                continue
            incoming = total(first + slot) if incoming is None else incoming
            if edge.hands_on:
                part = incoming
            else:
                values = [operands[slot][i] if i in edge.reads else 0 for i in range(2)]
                read.update(operands[slot][i] for i in edge.reads)
                part = emit(edge.operation, *values, (incoming,))
            cotangents.setdefault(register, []).append(part)
    gradients = [total(register) if register in cotangents else -1 for register in varying]

    # The forward operations that something reads.
    for slot in reversed(range(length)):
        if first + slot in read:
            read.update(operands[slot])
    instructions = [(*row, False) for row in sweep]
    level_of = {}
    for slot in range(length):
        register = first + slot
        if register in read:
            # Backward operations come behind all forward ones: their levels are counted on below.
            level = 1 + max((level_of.get(i, -1) for i in operands[slot] if varies[i] == varies[register]), default=-1)
            level_of[register] = level
            values = (*operands[slot], *[operands[slot][0]] * (2 - len(operands[slot])), 0)
            instructions.append((opcodes[slot], level - layout.max_instructions, register, values, not varies[register]))
    return Lowered(
        operations=np.array([row[0] for row in instructions], np.int32),
        levels=np.array([row[1] for row in instructions], np.int32),
        results=np.array([row[2] for row in instructions], np.int32),
        operands=np.array([row[3] for row in instructions], np.int32).reshape(-1, 3),
        once=np.array([row[4] for row in instructions], bool),
        gradients=np.array(gradients, np.int32),
        constants=np.asarray(program.constants),
    )
