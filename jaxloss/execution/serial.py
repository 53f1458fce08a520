"""One compiled training per family; the trials of a list run one after the other, or side by side in a few threads."""

import functools
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax

from jaxloss.core.family import LossFamily
from jaxloss.core.types import PyTree
from jaxloss.execution.base import Trial
from jaxloss.tasks.base import Task
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Outcome, Preparation, Training


class SerialExecution:
    """Runs trials with `workers` threads.

    A compiled call releases the interpreter lock, so that two small trainings fill two cores. Each training is computed
    exactly as it would be alone: the results do not depend on the number of workers.
    """

    def __init__(self, task: Task, settings: TrainingSettings, workers: int = 1, dispatch: str = "auto"):
        self._task, self._settings, self._dispatch = task, settings, dispatch
        self._preparation = Preparation(task, settings)
        self._trainings: dict[str, Training] = {}
        self._data: dict[int, PyTree] = {}
        self._lock = threading.Lock()
        self._first_call: dict[str, threading.Lock] = {}
        self.workers = workers
        self.pool = ThreadPoolExecutor(workers)

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Outcome, float]]:
        """See `Execution.run`. Trials that wait are dropped when the caller stops iterating."""
        futures = [self.pool.submit(self._run_one, trial) for trial in trials]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Ends the threads; trainings that have not begun are dropped."""
        self.pool.shutdown(cancel_futures=True)

    @property
    def compilations(self) -> dict[str, int]:
        return {f"training {name}": training.compilations for name, training in sorted(self._trainings.items())}

    def data(self, split: int) -> PyTree:
        """The data of one division, on the device; made once."""
        with self._lock:
            if split not in self._data:
                self._data[split] = jax.device_put(dict(self._task.with_split(split).data))
            return self._data[split]

    def _training(self, family: LossFamily) -> Training:
        with self._lock:
            if family.name not in self._trainings:
                self._trainings[family.name] = Training(self._task, family, self._settings, self._dispatch, self._preparation)
                self._first_call[family.name] = threading.Lock()
            return self._trainings[family.name]

    def _run_one(self, trial: Trial) -> tuple[Outcome, float]:
        training, data = self._training(trial.family), self.data(trial.split)
        started = time.perf_counter()
        run = functools.partial(
            training.run, trial.encoded, trial.learning_rate, trial.seed, data, trial.evaluate_on, trial.keep_variables
        )
        if training.compilations:
            outcome = run()
        else:
            # Two threads that meet an uncompiled function would both compile it.
            with self._first_call[trial.family.name]:
                outcome = run()
        return outcome, time.perf_counter() - started
