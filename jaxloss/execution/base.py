"""Trials, and how a list of them is carried out. The execution is chosen once per run and pinned in it."""

import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol

import jax

from jaxloss.core.errors import UserError
from jaxloss.core.family import LossFamily
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import SEARCH_EVAL, TRAIN, Task, num_examples
from jaxloss.tasks.check import on_division
from jaxloss.tasks.data.stream import resident_arrays
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.state import Outcome, StateHandle


@dataclasses.dataclass(frozen=True)
class Trial:
    """A part of a training, or a whole one: a candidate, and all that decides its result.

    A whole training starts from a seed and has no `num_steps`. Successive halving asks for a few steps of many candidates, keeps
    their ends, and goes on from some of them; promotion starts trials of other candidates from one end. Steps up to a handle
    and those from it on are together those of an undisturbed training.

    Attributes:
      family: the space or the hand-crafted family that the candidate belongs to.
      encoded: the candidate as a pytree of arrays.
      learning_rate: of this trial.
      start: the seed of initialisation and data order, equal for all candidates of a search, or a handle to the end of an
        earlier trial, of this candidate or of another; its arrays stay as they are.
      division: number of the division of the data, see `Task.with_division`.
      evaluate_on: name of the split that is scored at the end, None for none.
      num_steps: steps of this trial; None for all up to the end of the training.
      keep_end: the outcome has a handle to the end.
      show: the outcome has what pictures are drawn of, see `Task.pictures`; of a trial that is scored.
    """

    family: LossFamily
    encoded: PyTree
    learning_rate: float
    start: int | StateHandle
    division: int
    evaluate_on: str | None
    num_steps: int | None = None
    keep_end: bool = False
    show: bool = False

    @property
    def steps_before(self) -> int:
        """Steps that were done where it starts."""
        return self.start.steps if isinstance(self.start, StateHandle) else 0


class Execution(Protocol):
    """Carries out trials.

    Attributes:
      pool: threads, which the filters may use between two calls of `run`.
      workers: how many.
      at_once: trainings that run side by side.
    """

    pool: Executor
    workers: int
    at_once: int

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Outcome, float]]:
        """Yields (outcome, seconds) in the order of the trials, each as soon as it and all before it are done.

        Raises:
          UserError: before anything is trained, for a trial that asks for steps beyond the end of the training, or whose
            handle does not fit.
        """

    def check(self, trials: Sequence[Trial]) -> None:
        """Raises a UserError for the first trial that cannot be carried out."""

    @property
    def compilations(self) -> dict[str, int]:
        """`training FAMILY` -> how often its training was compiled."""

    def data(self, division: int) -> PyTree:
        """The data of one division, on the device; made once."""

    def untrained_scores(self, seed: int, division: int, evaluate_on: str = SEARCH_EVAL) -> Mapping[str, float]:
        """The scores of a fresh network on a split, by the functions that trainings are begun and scored with."""

    def handle_like(self, division: int) -> StateHandle:
        """The shapes of a handle to a training on this division, to load a stored one: `Checkpoints.load(name, like=...)`."""

    def num_steps(self, division: int) -> int:
        """Steps of a whole training on this division."""

    def steps_per_epoch(self, division: int) -> int:
        """Steps of one epoch of it."""

    def first_steps(self, trials: Sequence[Trial], num_steps: int) -> int:
        """For measurements: begins at most `at_once` trials of one family and division, and waits for their first steps.

        Returns:
          The steps that were done, over all trials: fewer than asked for where one met NaN or is shorter.
        """

    def close(self) -> None:
        """Ends the threads; trainings that have not begun are dropped."""


class Resources:
    """What every execution has: the data on the device, threads, and a look at the trials before they begin."""

    def __init__(self, task: Task, settings: TrainingSettings, preparation: Preparation, workers: int):
        self._task, self._settings, self._preparation = task, settings, preparation
        self._data: dict[int, PyTree] = {}
        self._handles: dict[int, StateHandle] = {}
        self._lock = threading.Lock()
        self.workers = workers
        self.pool = ThreadPoolExecutor(workers)

    def close(self) -> None:
        """See `Execution.close`."""
        self.pool.shutdown(cancel_futures=True)

    def data(self, division: int) -> PyTree:
        """See `Execution.data`."""
        with self._lock:
            if division not in self._data:
                self._data[division] = self._place(dict(on_division(self._task, division).data))
            return self._data[division]

    def handle_like(self, division: int) -> StateHandle:
        """See `Execution.handle_like`."""
        with self._lock:
            known = self._handles.get(division)
        # Made once: tracing a fresh training for every trial of a list takes longer than small trials do.
        return known or self._handles.setdefault(division, self._preparation.handle_like(self._train_shapes(division), division))

    def num_steps(self, division: int) -> int:
        """See `Execution.num_steps`."""
        return self._preparation.num_steps(self._train_shapes(division))

    def steps_per_epoch(self, division: int) -> int:
        """See `Execution.steps_per_epoch`."""
        return self._preparation.steps_per_epoch(self._train_shapes(division))

    def check(self, trials: Sequence[Trial]) -> None:
        """See `Execution.check`."""
        for trial in trials:
            if isinstance(trial.start, StateHandle):
                trial.start.check(self.handle_like(trial.division))
            if trial.num_steps is None:
                continue
            left = self.num_steps(trial.division) - trial.steps_before
            if not 0 <= trial.num_steps <= left:
                raise UserError(
                    f"a trial asks for {trial.num_steps} steps, and the training of the task '{self._task.name}' has {left} "
                    f"after the {trial.steps_before} that were done before: ask for 0 to {left}, or for None"
                )

    def _check_orders(self, orders: Array, division: int) -> None:
        """Raises a UserError for a row that there is not: in its place, JAX would read the last one."""
        rows, num_rows = jax.device_get(orders), num_examples(self._train_shapes(division))
        if wrong := rows[(rows < 0) | (rows >= num_rows)].tolist():
            raise UserError(
                f"order of the task {self._task.name} gives the row {wrong[0]}, and there are rows 0 to {num_rows - 1}"
            )

    def _train_shapes(self, division: int) -> PyTree:
        """The training data as one device has them, or their shapes."""
        return resident_arrays(self.data(division)[TRAIN])

    def _place(self, data: PyTree) -> PyTree:
        """Puts data where the trainings read it."""
        return jax.device_put(data)
