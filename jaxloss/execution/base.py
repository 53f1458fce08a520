"""How a list of trainings is carried out. The way is chosen once per run and pinned in it."""

import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol

import jax

from jaxloss.core.family import LossFamily
from jaxloss.core.types import PyTree
from jaxloss.tasks.base import Task
from jaxloss.tasks.preparation import Outcome


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training: a candidate, and all that decides its result.

    Attributes:
      family: the space or the hand-crafted family that the candidate belongs to.
      encoded: the candidate as a pytree of arrays.
      learning_rate: of this training.
      seed: of initialisation and data order; equal for all candidates of a search.
      split: number of the division of the data, see `Task.with_split`.
      evaluate_on: name of the split that is scored.
      keep_variables: return the trained network too.
    """

    family: LossFamily
    encoded: PyTree
    learning_rate: float
    seed: int
    split: int
    evaluate_on: str
    keep_variables: bool = False


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
        """Yields (outcome, seconds) in the order of the trials, each as soon as it and all before it are done."""

    @property
    def compilations(self) -> dict[str, int]:
        """`training FAMILY` -> how often its training was compiled."""

    def data(self, split: int) -> PyTree:
        """The data of one division, on the device; made once."""

    def untrained_scores(self, seed: int, split: int) -> Mapping[str, float]:
        """The scores of a fresh network on `search_eval`, by the functions that trainings are begun and scored with."""

    def first_steps(self, trials: Sequence[Trial], num_steps: int) -> int:
        """For measurements: begins at most `at_once` trials of one family and division, and waits for their first steps.

        Returns:
          The steps that were done, over all trials: fewer than asked for where one met NaN or is shorter.
        """

    def close(self) -> None:
        """Ends the threads; trainings that have not begun are dropped."""


class Resources:
    """What every execution has: the data on the device, and threads."""

    def __init__(self, task: Task, workers: int):
        self._task = task
        self._data: dict[int, PyTree] = {}
        self._lock = threading.Lock()
        self.workers = workers
        self.pool = ThreadPoolExecutor(workers)

    def close(self) -> None:
        """See `Execution.close`."""
        self.pool.shutdown(cancel_futures=True)

    def data(self, split: int) -> PyTree:
        """See `Execution.data`."""
        with self._lock:
            if split not in self._data:
                self._data[split] = self._place(dict(self._task.with_split(split).data))
            return self._data[split]

    def _place(self, data: PyTree) -> PyTree:
        """Puts data where the trainings read it."""
        return jax.device_put(data)
