"""Many trainings in one step: lanes under `vmap`, on one device or on several (`pmap`)."""

import itertools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp

from jaxloss.core.devices import replicate, slice_shapes
from jaxloss.core.errors import UserError
from jaxloss.core.family import LossFamily
from jaxloss.core.types import PyTree
from jaxloss.execution.base import Resources, Trial
from jaxloss.execution.lane_queue import LaneQueue, stack_candidates
from jaxloss.execution.lanes import LanePreparation, LaneTraining
from jaxloss.tasks.base import SEARCH_EVAL, TRAIN, Task
from jaxloss.tasks.data.stream import is_streamed
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.state import Outcome
from jaxloss.tasks.train import Training


class PopulationExecution(Resources):
    """Trains `num_devices * lanes` candidates in one step.

    Lanes that are done, or no longer finite, are scored and get the next trials, so that a long list keeps all lanes busy.
    A trial's result does not depend on the trials beside it, but for rounding: sums in a batch of networks may be taken in
    another order than in one network.
    """

    def __init__(
        self,
        task: Task,
        settings: TrainingSettings,
        lanes: int,
        num_devices: int = 1,
        workers: int = 1,
        dispatch: str = "auto",
    ):
        """Args:
        task: what is trained.
        settings: everything but the learning rate.
        lanes: `K`, candidates at a time on each device.
        num_devices: `D`; 1 is `vmap`, more is `pmap` over it.
        workers: threads for the filters; trainings need none.
        dispatch: see `Training`; a `whole` block of steps is one call.

        Raises:
          UserError: the training data are streamed: every lane would have to be fed with batches of its own.
        """
        refuse_streamed(task)
        super().__init__(task, settings, Preparation(task, settings), workers)
        self._dispatch = dispatch
        self.num_devices, self.lanes = num_devices, lanes
        self._lane_preparation = LanePreparation(self._preparation, num_devices)
        self._lane_trainings: dict[str, LaneTraining] = {}

    @property
    def compilations(self) -> dict[str, int]:
        """See `Execution.compilations`."""
        return {f"training {name}": training.compilations for name, training in sorted(self._lane_trainings.items())}

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Outcome, float]]:
        """See `Execution.run`. Trials of one family, division and evaluation run together; the seconds are a trial's share."""
        self.check(trials)
        groups: dict[tuple, list[int]] = {}
        for index, trial in enumerate(trials):
            groups.setdefault((trial.family.name, trial.division, trial.evaluate_on), []).append(index)
        queues = (self._queue([(index, trials[index]) for index in indices]) for indices in groups.values())
        results = itertools.chain.from_iterable(queue.results() for queue in queues)
        done: dict[int, tuple[Outcome, float]] = {}
        for index in range(len(trials)):
            while index not in done:
                done.update([next(results)])
            yield done.pop(index)

    def untrained_scores(self, seed: int, division: int, evaluate_on: str = SEARCH_EVAL) -> dict[str, float]:
        """See `Execution.untrained_scores`; every lane is scored, as ever, and the first one looked at."""
        data = self.data(division)
        seeds = jnp.full((self.num_devices, self.lanes), seed, jnp.uint32)
        states = self._lane_preparation.begin(seeds, data[TRAIN])
        self._check_orders(states.orders, division)
        (scores,) = self._lane_preparation.evaluate(states.variables, data[evaluate_on], [(0, 0)])
        return {name: float(value) for name, value in scores.items()}

    @property
    def at_once(self) -> int:
        """See `Execution`."""
        return self.num_devices * self.lanes

    def first_steps(self, trials: Sequence[Trial], num_steps: int) -> int:
        """See `Execution.first_steps`; of a list that is shorter than there are lanes, trials are repeated."""
        filled = list(itertools.islice(itertools.cycle(trials), self.at_once))
        return self._queue(list(enumerate(filled))).first_steps(num_steps)

    def memory(self, trial: Trial) -> int:
        """Bytes on one device while all lanes carry out such trials, the training data included; nothing is run."""
        data = self.data(trial.division)
        examples = None if trial.evaluate_on is None else data[trial.evaluate_on]
        candidates = stack_candidates([trial] * self.at_once, self.num_devices)
        return self.lane_training(trial.family).memory(*candidates, data[TRAIN], examples)

    def data_bytes(self, division: int) -> int:
        """Bytes of the training data on one device."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self.data(division)[TRAIN])) // self.num_devices

    def lane_training(self, family: LossFamily) -> LaneTraining:
        """The compiled programs of a family; made once."""
        if family.name not in self._lane_trainings:
            training = Training(self._task, family, self._settings, self._dispatch, self._preparation)
            self._lane_trainings[family.name] = LaneTraining(training, self._lane_preparation)
        return self._lane_trainings[family.name]

    def _queue(self, trials: Sequence[tuple[int, Trial]]) -> LaneQueue:
        first = trials[0][1]
        return LaneQueue(self.lane_training(first.family), self.data(first.division), trials, self.lanes)

    def _train_shapes(self, division: int) -> PyTree:
        return slice_shapes(self.data(division)[TRAIN])

    def _place(self, data: PyTree) -> PyTree:
        return replicate(data, self.num_devices)


def refuse_streamed(task: Task) -> None:
    """Raises a UserError where the training data do not lie on the device."""
    if is_streamed(task.data):
        raise UserError(
            f"execution.mode=vmap and pmap need the training data on the device, and those of the task {task.name} are streamed: "
            "choose serial, data_parallel or auto"
        )
