"""One compiled training per family; the trials of a list run one after the other, or side by side in a few threads."""

import collections
import functools
import threading
import time
from collections.abc import Iterator, Sequence

import jax

from jaxloss.core.family import LossFamily
from jaxloss.core.types import PyTree
from jaxloss.execution.base import Resources, Trial
from jaxloss.tasks.base import SEARCH_EVAL, TRAIN, Task
from jaxloss.tasks.data.stream import resident_arrays
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.state import Outcome, TrainState
from jaxloss.tasks.train import Training


class SerialExecution(Resources):
    """Runs trials with `workers` threads.

    A compiled call releases the interpreter lock, so that two small trainings fill two cores. Each training is computed
    exactly as it would be alone: the results do not depend on the number of workers.
    """

    def __init__(self, task: Task, settings: TrainingSettings, workers: int = 1, dispatch: str = "auto"):
        self._dispatch = dispatch
        super().__init__(task, settings, self._make_preparation(task, settings), workers)
        self._trainings: dict[str, Training] = {}
        self._first_call: dict[str, threading.Lock] = {}

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Outcome, float]]:
        """See `Execution.run`. Trials that wait are dropped when the caller stops iterating."""
        self.check(trials)
        futures = collections.deque(self.pool.submit(self._run_one, trial) for trial in trials)
        try:
            while futures:
                # What was given away is not held: the ends of many trainings take room.
                yield futures.popleft().result()
        finally:
            for future in futures:
                future.cancel()

    @property
    def at_once(self) -> int:
        """See `Execution`."""
        return self.workers

    def untrained_scores(self, seed: int, division: int, evaluate_on: str = SEARCH_EVAL) -> dict[str, float]:
        """See `Execution.untrained_scores`."""
        data = self.data(division)
        state = self._fresh(seed, resident_arrays(data[TRAIN]))
        self._check_orders(state.orders, division)
        scores = self._preparation.evaluation(state.variables, data[evaluate_on], True)
        return {name: float(value) for name, value in scores.items()}

    def _fresh(self, seed: int, train: PyTree) -> TrainState:
        return self._preparation.begin(jax.random.key(seed), train)

    def first_steps(self, trials: Sequence[Trial], num_steps: int) -> int:
        """See `Execution.first_steps`."""
        steps = functools.partial(self._first_steps, num_steps=num_steps)
        first = steps(trials[0]) if not self.training(trials[0].family).compilations else None
        rest = trials if first is None else trials[1:]
        return (first or 0) + sum(self.pool.map(steps, rest))

    def _first_steps(self, trial: Trial, num_steps: int) -> int:
        train = self.data(trial.division)[TRAIN]
        return self.training(trial.family).first_steps(trial.encoded, trial.learning_rate, trial.start, train, num_steps)

    @property
    def compilations(self) -> dict[str, int]:
        """See `Execution.compilations`."""
        return {f"training {name}": training.compilations for name, training in sorted(self._trainings.items())}

    def training(self, family: LossFamily) -> Training:
        """The compiled training of a family; made once."""
        with self._lock:
            if family.name not in self._trainings:
                self._trainings[family.name] = self._make_training(family)
                self._first_call[family.name] = threading.Lock()
            return self._trainings[family.name]

    def _make_training(self, family: LossFamily) -> Training:
        return Training(self._task, family, self._settings, self._dispatch, self._preparation)

    def _make_preparation(self, task: Task, settings: TrainingSettings) -> Preparation:
        return Preparation(task, settings)

    def _run_one(self, trial: Trial) -> tuple[Outcome, float]:
        training, data = self.training(trial.family), self.data(trial.division)
        started = time.perf_counter()
        run = functools.partial(
            training.run,
            trial.encoded,
            trial.learning_rate,
            trial.start,
            data,
            trial.evaluate_on,
            trial.num_steps,
            trial.keep_end,
            trial.division,
            trial.show,
        )
        if training.compilations:
            outcome = run()
        else:
            # Two threads that meet an uncompiled function would both compile it.
            with self._first_call[trial.family.name]:
                outcome = run()
        return outcome, time.perf_counter() - started
