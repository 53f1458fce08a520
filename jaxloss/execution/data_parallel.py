"""One network at a time, each of its batches divided over several devices: for networks that are large for one."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp

from jaxloss.core.devices import DEVICE_AXIS, first_device, over_devices, replicate, slice_shapes
from jaxloss.core.errors import UserError
from jaxloss.core.family import LossFamily
from jaxloss.core.types import Array, PyTree
from jaxloss.execution.base import Trial
from jaxloss.execution.serial import SerialExecution
from jaxloss.tasks.base import TRAIN, Task
from jaxloss.tasks.data.stream import is_streamed, resident_arrays
from jaxloss.tasks.dispatch import WHOLE
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.state import Outcome, TrainState
from jaxloss.tasks.train import Training


class _Preparation(Preparation):
    """The same state on every device."""

    def __init__(self, task: Task, settings: TrainingSettings, num_devices: int, num_processes: int):
        super().__init__(task, settings)
        self.num_devices, self.num_processes = num_devices, num_processes

    @functools.cached_property
    def begin(self):
        """`(keys [D], train [D, ...]) -> TrainState [D]`."""
        return over_devices(self.fresh, self.num_devices)


class DataParallelTraining(Training):
    """A training whose every step is shared by the devices; state and training data are replicated on them.

    A step is that of one device but for rounding, Mean over n included. Three things are each device's own: BatchNorm normalises
    by the statistics of the device's share of the batch (the running statistics are averaged over the devices) unless the task
    has a `forward_over`, dropout draws for each share by itself, and a task that compares the samples of a batch (pairs,
    triplets) compares those of one share.
    """

    preparation: _Preparation

    def __init__(self, task: Task, family: LossFamily, settings: TrainingSettings, dispatch: str, preparation: _Preparation):
        """See `Training`."""
        self.num_devices, self.across = preparation.num_devices, preparation.num_processes > 1
        divided = self.across or self.num_devices > 1
        super().__init__(task, family, settings, dispatch, preparation, DEVICE_AXIS if divided else None)

    @property
    def _most_ahead(self) -> int | None:
        # The devices of a CPU share its threads: steps far ahead on one take them all, and wait there for the others for ever.
        return 1 if jax.default_backend() == "cpu" else None

    def _to_devices(self, tree: PyTree) -> PyTree:
        return replicate(tree, self.num_devices)

    def _on_one_device(self, tree: PyTree) -> PyTree:
        return first_device(tree)

    def _of_one_device(self, tree: PyTree) -> PyTree:
        return slice_shapes(tree)

    def advance(self, state: TrainState, encoded: PyTree, rate: Array, train: PyTree, num_steps: int) -> TrainState:
        """See `Training.advance`; all arguments but the last have a leading axis `[D]`."""
        if self.dispatch == WHOLE:
            return self._whole(state, encoded, rate, train, replicate(jnp.int32(num_steps), self.num_devices))
        return super().advance(state, encoded, rate, train, num_steps)

    def _make_parts(self, dispatch: str) -> None:
        """A step in parts is that of one device: states have a leading axis here."""

    def _compile(self, function, **options):
        return over_devices(function, self.num_devices, self.across, **options)


class DataParallelExecution(SerialExecution):
    """Trains one network after the other, each on all devices."""

    def __init__(
        self,
        task: Task,
        settings: TrainingSettings,
        num_devices: int,
        workers: int = 1,
        dispatch: str = "auto",
        num_processes: int = 1,
    ):
        """Args:
        task: what is trained.
        settings: everything but the learning rate.
        num_devices: `D`, of this process, over which a batch is divided.
        workers: threads for the filters.
        dispatch: see `Training`.
        num_processes: that carry the same trainings out, each with `D` devices of its own; the batch is divided over them all.

        Raises:
          UserError: when a batch cannot be divided evenly.
        """
        self.num_devices, self.num_processes = num_devices, num_processes
        super().__init__(task, settings, workers, dispatch)
        batch_size, number = self._preparation.batch_size(resident_arrays(task.data[TRAIN])), num_devices * num_processes
        if batch_size % number:
            raise UserError(
                f"execution.mode=data_parallel divides a batch over {number} devices, but the batch has {batch_size} "
                "examples: choose a training.batch_size that can be divided"
            )

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Outcome, float]]:
        """See `Execution.run`. In this thread: two trainings that wait for all devices would wait for each other."""
        self.check(trials)
        return map(self._run_one, trials)

    def _fresh(self, seed: int, train: PyTree) -> TrainState:
        keys = replicate(jax.random.key(seed), self.num_devices)
        return first_device(self._preparation.begin(keys, train))

    @property
    def at_once(self) -> int:
        """See `Execution`."""
        return 1

    def _make_training(self, family: LossFamily) -> Training:
        return DataParallelTraining(self._task, family, self._settings, self._dispatch, self._preparation)

    def _make_preparation(self, task: Task, settings: TrainingSettings) -> Preparation:
        return _Preparation(task, settings, self.num_devices, self.num_processes)

    def _train_shapes(self, division: int) -> PyTree:
        return slice_shapes(super()._train_shapes(division))

    def _place(self, data: PyTree) -> PyTree:
        placed = jax.device_put({name: part for name, part in data.items() if name != TRAIN})
        train = data[TRAIN]
        arrays = replicate(resident_arrays(train), self.num_devices)
        return {**placed, TRAIN: dataclasses.replace(train, resident=arrays) if is_streamed(data) else arrays}
