"""What carries trials out in another process: made from names and plain values, it is sent trials and sends what they gave."""

import dataclasses
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jaxloss.core.errors import UserError
from jaxloss.core.family import LossFamily
from jaxloss.core.names import import_factory
from jaxloss.execution.base import Execution, Trial
from jaxloss.execution.choice import ExecutionFactory, Parallelism
from jaxloss.tasks.base import Task
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.state import Outcome


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a worker makes of a recipe.

    Attributes:
      task: what is trained.
      family: `(name) -> losses of this name`.
    """

    task: Task
    family: Callable[[str], LossFamily]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a worker makes its parts, in names and plain values.

    Attributes:
      maker: `module:function`, of the values, returns `Parts`.
      values: of the config.
      dispatch: see `tasks.train.Training`.
    """

    maker: str
    values: Mapping[str, Any]
    dispatch: str = "auto"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What became of a list of trials.

    Attributes:
      results: (outcome, seconds) of each.
      compilations: see `Execution.compilations`, of the worker since it began.
      mistake: the line for the user, where there are no results.
    """

    results: Sequence[tuple[Outcome, float]] = ()
    compilations: Mapping[str, int] = dataclasses.field(default_factory=dict)
    mistake: str | None = None


def sendable(trial: Trial) -> Trial:
    """A trial whose family is its name, and whose arrays lie on the host."""
    return dataclasses.replace(trial, family=trial.family.name, encoded=jax.device_get(trial.encoded))


class Worker:
    """Carries out what it is sent, by an execution of its own for each length of training."""

    def __init__(self, recipe: Recipe, make: Callable[[Task, TrainingSettings, str], Execution]):
        """Args:
        recipe: of its parts.
        make: `(task, settings, dispatch) -> Execution`.

        Raises:
          UserError: a part cannot be made here: absent data, or a module that is not installed on this machine.
        """
        self._recipe, self._make = recipe, make
        self._parts: Parts = import_factory("maker of workers", recipe.maker, ())(recipe.values)
        self._executions: list[tuple[TrainingSettings, Execution]] = []

    def run(self, trials: Sequence[Trial], settings: TrainingSettings) -> Answer:
        """Carries out trials that were made `sendable`."""
        try:
            execution = self._execution(settings)
            results = list(execution.run(self._with_families(trials)))
        except UserError as error:
            return Answer(mistake=str(error))
        return Answer(results, self._compilations())

    def first_steps(self, trials: Sequence[Trial], num_steps: int, settings: TrainingSettings) -> int:
        """See `Execution.first_steps`."""
        return self._execution(settings).first_steps(self._with_families(trials), num_steps)

    def _with_families(self, trials: Sequence[Trial]) -> list[Trial]:
        return [dataclasses.replace(trial, family=self._parts.family(trial.family)) for trial in trials]

    def _execution(self, settings: TrainingSettings) -> Execution:
        for known, execution in self._executions:
            if known == settings:
                return execution
        made = self._make(self._parts.task, settings, self._recipe.dispatch)
        self._executions.append((settings, made))
        return made

    def _compilations(self) -> dict[str, int]:
        counted: dict[str, int] = {}
        for _, execution in self._executions:
            for name, number in execution.compilations.items():
                counted[name] = counted.get(name, 0) + number
        return counted


class RayWorker:
    """A worker in a process of Ray's, with one device."""

    def __init__(self, recipe: Recipe, parallelism: Parallelism):
        """See `Worker`; a mistake is kept for who asks: a process that ended would be begun again."""

        def make(task: Task, settings: TrainingSettings, dispatch: str) -> Execution:
            return ExecutionFactory(task, settings, 1, dispatch).make(parallelism)

        self._mistake: str | None = None
        try:
            self._worker = Worker(recipe, make)
        except UserError as error:
            self._mistake = f"a worker on {socket.gethostname()}: {error}"

    def begun(self) -> Answer:
        """Whether it is ready, or why it never will be."""
        return Answer(mistake=self._mistake)

    def run(self, trials: Sequence[Trial], settings: TrainingSettings) -> Answer:
        """See `Worker.run`."""
        return self._worker.run(trials, settings)

    def first_steps(self, trials: Sequence[Trial], num_steps: int, settings: TrainingSettings) -> int:
        """See `Worker.first_steps`."""
        return self._worker.first_steps(trials, num_steps, settings)
