"""A population as one list of blocks: each block is one operation on a fixed number of rows, whichever programs they belong to.

Instructions of many programs are sorted by level and operation, so that a block has a single operation (a real branch, no
select over all operators) and its cost is shared by many programs. All values of all programs are rows of one memory; a block
reads any rows and writes consecutive ones.
"""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from jaxloss.core.types import Array
from jaxloss.graphs.blocks.lowering import Lowered, max_instructions, num_local, seed_number
from jaxloss.graphs.program import Layout


@dataclasses.dataclass(frozen=True)
class Shape:
    """The fixed size of a schedule.

    Attributes:
      layout: of the programs.
      varying: positions of the inputs that differ from program to program, whose gradient is wanted.
      lanes: `P`, programs at once.
      width: `G`, rows of a block.
      slots: results of so many blocks are kept at a time. A single program always finds room.
    """

    layout: Layout
    varying: tuple[int, ...]
    lanes: int
    width: int
    slots: int

    @property
    def max_blocks(self) -> int:
        """The most blocks of a schedule."""
        return 4 * self.slots

    # The memory: zeros, the two seeds, the fixed inputs, the constants, the varying inputs, the results of blocks.

    @property
    def fixed(self) -> tuple[int, ...]:
        """Positions of the inputs that are the same for all programs."""
        return tuple(i for i in range(len(self.layout.inputs)) if i not in self.varying)

    @property
    def first_fixed(self) -> int:
        """The first row of the fixed inputs."""
        return 3

    @property
    def first_constant(self) -> int:
        """The first row of the constants."""
        return self.first_fixed + len(self.fixed)

    @property
    def max_constants(self) -> int:
        """The most different constants of all programs together."""
        return max(16, self.layout.max_constants)

    @property
    def first_varying(self) -> int:
        """The first row of the varying inputs."""
        return self.first_constant + self.max_constants

    @property
    def first_block(self) -> int:
        """The first row of the results of blocks."""
        return self.first_varying + len(self.varying) * self.lanes

    @property
    def num_rows(self) -> int:
        """All rows of the memory."""
        return self.first_block + self.slots * self.width

    @classmethod
    def for_memory(cls, layout: Layout, varying: tuple[int, ...], lanes: int, width: int, num_rows: int) -> "Shape":
        """As many slots as fit into a memory of about `num_rows` rows."""
        without = cls(layout, varying, lanes, width, 0).num_rows
        return cls(layout, varying, lanes, width, max(max_instructions(layout), (num_rows - without) // width))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Schedule:
    """What `P` lanes compute, as arrays of fixed size.

    Attributes:
      operations: int32 `[max_blocks]`.
      operands: int32 `[max_blocks, 3, G]` rows.
      results: int32 `[max_blocks]` the first row that a block writes.
      once: int32 `[]` how many blocks, from the first on, do not depend on the varying inputs.
      length: int32 `[]` number of blocks.
      constants: float `[max_constants]`.
      gradients: int32 `[V, P]` rows.
    """

    operations: Array
    operands: Array
    results: Array
    once: Array
    length: Array
    constants: Array
    gradients: Array


def make_schedule(programs: Sequence[Lowered | None], shape: Shape) -> Schedule | None:
    """Sorts the instructions of at most `lanes` programs into blocks.

    Args:
      programs: None is an empty lane.
      shape: fixed size of the schedule.

    Returns:
      The schedule, or None where the programs need more room than there is; one alone always fits.
    """
    taken = np.array([index for index, program in enumerate(programs) if program is not None], int)
    present = [programs[index] for index in taken]
    instructions = _sort(present, shape.width)
    constants, constant_rows = _constants(present, shape)
    if instructions.num_blocks > shape.max_blocks or constants is None:
        return None

    # The results of blocks are numbered as if each had a slot of its own.
    rows = _rows_of_inputs(taken, constant_rows, shape)
    rows[instructions.lane, instructions.results] = shape.first_block + instructions.block * shape.width + instructions.place
    operations = np.zeros(shape.max_blocks, np.int32)
    operations[instructions.block] = instructions.operations
    operands = np.zeros((shape.max_blocks, 3, shape.width), np.int32)
    operands[instructions.block, :, instructions.place] = rows[instructions.lane[:, None], instructions.operands]
    gradients = np.zeros((len(shape.varying), shape.lanes), np.int32)
    if present:
        local = np.stack([program.gradients for program in present])
        gradients[:, taken] = np.where(local >= 0, rows[np.arange(len(present))[:, None], local], 0).T

    slots = _share_slots(operands[: instructions.num_blocks], gradients, instructions.num_once, shape)
    if slots is None:
        return None
    first_rows = shape.first_block + slots * shape.width

    def placed(numbers: np.ndarray) -> np.ndarray:
        of_block = numbers - shape.first_block
        rows = first_rows[of_block // shape.width] + of_block % shape.width
        return np.where(of_block < 0, numbers, rows).astype(np.int32)

    return Schedule(
        operations=operations,
        operands=placed(operands),
        results=first_rows.astype(np.int32),
        once=np.int32(instructions.num_once),
        length=np.int32(instructions.num_blocks),
        constants=constants,
        gradients=placed(gradients),
    )


@dataclasses.dataclass(frozen=True)
class _Sorted:
    """All instructions of a population in the order of their blocks, `[M]` each, and how many blocks there are.

    `place` is that in the block, `num_once` the number of blocks, from the first on, that are run once.
    """

    lane: np.ndarray
    operations: np.ndarray
    results: np.ndarray
    operands: np.ndarray
    block: np.ndarray
    place: np.ndarray
    num_blocks: int
    num_once: int


def _sort(programs: Sequence[Lowered], width: int) -> _Sorted:
    """What is run once comes first, then level by level, equal operations together."""
    lane = np.repeat(np.arange(len(programs)), [len(program.operations) for program in programs])
    operations, levels, results, once, operands = (
        np.concatenate([getattr(program, name) for program in programs] or [np.zeros(0, np.int32)])
        for name in ("operations", "levels", "results", "once", "operands")
    )
    once = once.astype(bool)
    order = np.lexsort((operations, levels, ~once))
    operations, levels, once = operations[order], levels[order], once[order]
    starts = np.ones(len(order), bool)
    starts[1:] = (np.diff(operations) != 0) | (np.diff(levels) != 0) | (once[1:] != once[:-1])
    group = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    place = np.arange(len(order)) - first[group]
    blocks_of_group = -(-np.bincount(group, minlength=len(first)) // width)
    block = (np.cumsum(blocks_of_group) - blocks_of_group)[group] + place // width
    return _Sorted(
        lane=lane[order],
        operations=operations,
        results=results[order],
        operands=operands.reshape(-1, 3)[order],
        block=block,
        place=place % width,
        num_blocks=int(blocks_of_group.sum()),
        num_once=int(block[once].max(initial=-1) + 1),
    )


def _constants(programs: Sequence[Lowered], shape: Shape) -> tuple[np.ndarray | None, np.ndarray | None]:
    """All different constants `[max_constants]`, and the row of each program's `[programs, K]`; None if there are too many."""
    constants = np.ones(shape.max_constants)
    if not programs:
        return constants, None
    own = np.stack([program.constants for program in programs])
    different, inverse = np.unique(own, return_inverse=True)
    if len(different) > shape.max_constants:
        return None, None
    constants[: len(different)] = different
    return constants, shape.first_constant + inverse.reshape(own.shape)


def _rows_of_inputs(taken: np.ndarray, constant_rows: np.ndarray | None, shape: Shape) -> np.ndarray:
    """The row of every local number of every program, int32 `[programs, num_local]`; those of results are still 0."""
    layout = shape.layout
    rows = np.zeros((len(taken), num_local(layout)), np.int32)
    rows[:, seed_number(layout, False)] = 1
    rows[:, seed_number(layout, True)] = 2
    for index, position in enumerate(shape.fixed):
        rows[:, position] = shape.first_fixed + index
    for index, position in enumerate(shape.varying):
        rows[:, position] = shape.first_varying + index * shape.lanes + taken
    if constant_rows is not None:
        rows[:, len(layout.inputs) : layout.first_result] = constant_rows
    return rows


def _share_slots(operands: np.ndarray, gradients: np.ndarray, num_once: int, shape: Shape) -> np.ndarray | None:
    """The slot of every block, `[max_blocks]`: a result gives way once the last block that reads it has run."""
    num_blocks = len(operands)
    last_reader = np.arange(num_blocks)
    of_block = (operands - shape.first_block) // shape.width
    readers = np.broadcast_to(np.arange(num_blocks)[:, None, None], operands.shape)
    np.maximum.at(last_reader, of_block[of_block >= 0], readers[of_block >= 0])
    kept = (gradients - shape.first_block) // shape.width
    # What is computed once is read in every iteration, and gradients are read at the end.
    last_reader[kept[kept >= 0]] = last_reader[:num_once] = num_blocks
    slots = np.zeros(shape.max_blocks, np.int64)
    free = list(range(shape.slots))[::-1]
    leaving: dict[int, list[int]] = {}
    for block, last in enumerate(last_reader.tolist()):
        if not free:
            return None
        slots[block] = free.pop()
        leaving.setdefault(last, []).append(slots[block])
        free += leaving.pop(block, [])
    return slots
