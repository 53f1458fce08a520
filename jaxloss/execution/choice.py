"""The parallelism of a run. It is chosen once and pinned: over a whole training, rounding leads each kind elsewhere."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jaxloss.core.devices import free_memory, memory_budget
from jaxloss.core.errors import UserError
from jaxloss.execution.base import Execution, Trial
from jaxloss.execution.data_parallel import DataParallelExecution
from jaxloss.execution.measure import measure, that_train
from jaxloss.execution.population import PopulationExecution, refuse_streamed
from jaxloss.execution.serial import SerialExecution
from jaxloss.execution.settings import AUTO, DATA_PARALLEL, MEASURE, PMAP, SERIAL, VMAP
from jaxloss.tasks.base import Task
from jaxloss.tasks.data.stream import is_streamed
from jaxloss.tasks.settings import TrainingSettings

# Lanes where none are asked for. On a CPU a wider batch saves no time and outgrows the caches.
CPU_LANES, MOST_LANES = 4, 128
# From so many lanes the memory of more is extrapolated; no more than `FEW_LANES` are tried as they are, since they mostly fit.
PROBE_LANES, FEW_LANES = 4, 16
MEASURED_STEPS = 20
FEW_STEPS = 3


@dataclasses.dataclass(frozen=True)
class Parallelism:
    """Which trainings run side by side, and over what.

    Attributes:
      mode: `serial`, `vmap`, `pmap` or `data_parallel`.
      lanes: trainings at a time on each device; 1 where they are not batched.
      devices: over which a batch is divided (`data_parallel`), else 1: a lane's results do not depend on their number.
    """

    mode: str
    lanes: int = 1
    devices: int = 1


@dataclasses.dataclass(frozen=True)
class ExecutionFactory:
    """Makes executions of one task, whatever their parallelism.

    Attributes:
      task: what is trained.
      settings: everything but the learning rate.
      workers: threads.
      dispatch: see `tasks.train.Training`.
    """

    task: Task
    settings: TrainingSettings
    workers: int = 1
    dispatch: str = "auto"

    def make(self, parallelism: Parallelism) -> Execution:
        """An execution.

        Raises:
          UserError: when there are fewer devices than it was chosen for, or a batch cannot be divided over them.
        """
        if parallelism.mode == SERIAL:
            return SerialExecution(self.task, self.settings, self.workers, self.dispatch)
        if parallelism.mode == DATA_PARALLEL:
            return DataParallelExecution(*self.data_parallel(parallelism))
        devices = jax.local_device_count() if parallelism.mode == PMAP else 1
        return PopulationExecution(self.task, self.settings, parallelism.lanes, devices, self.workers, self.dispatch)

    def data_parallel(self, parallelism: Parallelism) -> tuple[Any, ...]:
        """The arguments of a `DataParallelExecution`, over all processes that were started together.

        Raises:
          UserError: when there are fewer devices than it was chosen for; of several processes, another number.
        """
        processes, wanted = jax.process_count(), parallelism.devices
        if wanted > jax.device_count() or (processes > 1 and wanted != jax.device_count()):
            raise UserError(
                f"this run divides its batches over {wanted} devices, and there are {jax.device_count()}: go on where there are "
                "as many"
            )
        return self.task, self.settings, wanted // processes, self.workers, self.dispatch, processes


def choose(
    mode: str,
    lanes: int,
    most_lanes: int | None,
    examples: Sequence[Trial],
    factory: ExecutionFactory,
    most_devices: int | None = None,
) -> tuple[Parallelism, Mapping[str, Any]]:
    """The parallelism of a new run, and for `measure` what was measured: mode -> seconds for one step of one training.

    Args:
      mode: in `settings.EXECUTION_MODES`. `auto` is serial on a CPU and a population on accelerators, over all of them where
        there are several; serial where the training data are streamed.
      lanes: on each device, 0 for as many as suit it.
      most_lanes: trainings that are ever asked for at a time, where that is known: further lanes would stay empty.
      examples: trials of the kind that is to come.
      factory: of the executions.
      most_devices: that an execution may take, None for all of this process.

    Raises:
      UserError: for a mode that needs several devices where there is one, or the training data on the device where they are
        streamed.
    """
    devices = min(jax.device_count(), most_devices or jax.device_count())
    streamed = is_streamed(factory.task.data)
    if mode == AUTO:
        mode = SERIAL if streamed or jax.default_backend() == "cpu" else PMAP if devices > 1 else VMAP
    if mode in (PMAP, DATA_PARALLEL) and devices < 2:
        raise UserError(f"execution.mode={mode} needs several devices, and there is one; choose serial, vmap or auto")
    if mode in (VMAP, PMAP):
        refuse_streamed(factory.task)
    modes = [mode]
    if mode == MEASURE:
        modes = [SERIAL, VMAP, *([PMAP, DATA_PARALLEL] if devices > 1 else [])]
        modes = [one for one in modes if not streamed or one not in (VMAP, PMAP)]
    possible = [_of_mode(mode, lanes, most_lanes, examples, factory) for mode in modes]
    if mode != MEASURE:
        return possible[0], {}
    seconds = _measured(possible, examples, factory)
    fastest = min(seconds, key=seconds.get)
    return next(one for one in possible if one.mode == fastest), seconds


def _of_mode(mode: str, lanes: int, most_lanes: int | None, examples: Sequence[Trial], factory: ExecutionFactory) -> Parallelism:
    if mode in (VMAP, PMAP):
        devices = jax.local_device_count() if mode == PMAP else 1
        most = MOST_LANES if most_lanes is None else -(-most_lanes // devices)
        if lanes > MOST_LANES:
            check_lanes(lanes, examples[0], factory)
            if lanes > max(most, MOST_LANES):
                raise UserError(
                    f"execution.lanes={lanes}: {most} fit what is trained at a time here, or 0 for as many as suit it"
                )
        return Parallelism(mode, lanes or derived_lanes(most, examples[0], factory))
    return Parallelism(mode, devices=jax.device_count() if mode == DATA_PARALLEL else 1)


def derived_lanes(most: int, example: Trial, factory: ExecutionFactory) -> int:
    """The most lanes that fit into the memory budget: a power of two, or `most` where that is fewer; 1 at least.

    Extrapolated from a few lanes, then verified by compiling for the number itself, and for twice as many: memory need not grow
    in proportion. Nothing is run.
    """
    most = max(1, most)
    if jax.default_backend() == "cpu":
        return min(most, CPU_LANES)
    most, budget, needed = min(most, MOST_LANES), memory_budget(), _needed_by(example, factory)
    if most <= FEW_LANES and needed(most) <= budget:
        return most
    likely = max(1, budget * PROBE_LANES // max(1, needed(PROBE_LANES)))
    lanes = min(most, 2 ** (likely.bit_length() - 1))
    while lanes > 1 and needed(lanes) > budget:
        # Of `most`, which need not be one, down to a power of two.
        lanes = 2 ** ((lanes - 1).bit_length() - 1)
    while lanes < most and needed(min(most, 2 * lanes)) <= budget:
        lanes = min(most, 2 * lanes)
    return lanes


def check_lanes(lanes: int, example: Trial, factory: ExecutionFactory, budget: int | None = None) -> None:
    """Whether so many trainings side by side fit into the memory of one device; found by compiling, nothing is run.

    Args:
      lanes: on each device.
      example: a trial of the kind that is to come.
      factory: of the executions.
      budget: bytes that they may take; None for all that are free now.

    Raises:
      UserError: they do not; names the most that fit.
    """
    budget, needed = free_memory() if budget is None else budget, _needed_by(example, factory)
    # To lay out very many takes long by itself, and memory grows with them.
    tried = min(lanes, MOST_LANES)
    if (bytes_needed := needed(tried) * lanes // tried) <= budget:
        return
    most = lanes * budget // bytes_needed
    while 0 < most <= MOST_LANES and needed(most) > budget:
        most = most * 9 // 10
    raise UserError(
        f"execution.lanes={lanes}: so many trainings side by side need {bytes_needed / 2**30:.2f} GiB on a device, and "
        f"{budget / 2**30:.2f} are free; {most} fit, or 0 for as many as suit it"
    )


def _needed_by(example: Trial, factory: ExecutionFactory) -> Callable[[int], int]:
    """`(lanes) -> bytes` of so many trainings on one device, without the training data."""

    @functools.cache
    def needed(lanes: int) -> int:
        execution = PopulationExecution(factory.task, factory.settings, lanes, 1, 1, factory.dispatch)
        try:
            return execution.memory(example) - execution.data_bytes(example.division)
        finally:
            execution.close()

    return needed


def _measured(possible: Sequence[Parallelism], examples: Sequence[Trial], factory: ExecutionFactory) -> dict[str, float]:
    """Mode -> seconds for one step of one training, of the modes that are possible."""
    seconds = {}
    for parallelism in possible:
        try:
            execution = factory.make(parallelism)
        except UserError:
            continue  # a batch that cannot be divided
        try:
            if parallelism.mode == SERIAL:
                examples = that_train(execution, examples, FEW_STEPS)
            seconds[parallelism.mode] = measure(execution, examples, MEASURED_STEPS).step_seconds
        finally:
            execution.close()
    return seconds
