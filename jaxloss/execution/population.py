"""Many trainings in one step: lanes under `vmap`, on one device or on several (`pmap`)."""

import collections
import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp

from jaxloss.core.devices import replicate, slice_shapes
from jaxloss.core.family import LossFamily
from jaxloss.core.types import Array, PyTree
from jaxloss.execution.base import Resources, Trial
from jaxloss.execution.lanes import LanePreparation, Lanes, without_empty
from jaxloss.graphs.stacking import stack_encoded
from jaxloss.tasks.base import SEARCH_EVAL, TRAIN, Task
from jaxloss.tasks.preparation import Outcome, Preparation, TrainState
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training

# The host looks at the lanes so often: a lane that met NaN stands idle for one part of a training at most.
BLOCKS_PER_TRAINING = 16


@dataclasses.dataclass
class _Lane:
    """What the host knows of an occupied lane.

    Attributes:
      index: of its trial in the list.
      trial: that it carries out.
      seconds: its share of the time so far.
    """

    index: int
    trial: Trial
    seconds: float = 0.0


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
        """
        super().__init__(task, workers)
        self._settings, self._dispatch = settings, dispatch
        self.num_devices, self.lanes = num_devices, lanes
        self._preparation = LanePreparation(Preparation(task, settings), num_devices)
        self._lanes: dict[str, Lanes] = {}

    @property
    def compilations(self) -> dict[str, int]:
        return {f"training {name}": lanes.compilations for name, lanes in sorted(self._lanes.items())}

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Outcome, float]]:
        """See `Execution.run`. Trials of one family, division and evaluation run together; the seconds are a trial's share."""
        groups: dict[tuple, list[int]] = {}
        for index, trial in enumerate(trials):
            groups.setdefault((trial.family.name, trial.split, trial.evaluate_on), []).append(index)
        results = itertools.chain.from_iterable(self._run_group(trials, indices) for indices in groups.values())
        done: dict[int, tuple[Outcome, float]] = {}
        for index in range(len(trials)):
            while index not in done:
                done.update([next(results)])
            yield done.pop(index)

    def untrained_scores(self, seed: int, split: int) -> dict[str, float]:
        """See `Execution.untrained_scores`; every lane is scored, as ever, and the first one looked at."""
        data = self.data(split)
        seeds = jnp.full((self.num_devices, self.lanes), seed, jnp.uint32)
        scores = self._preparation.scores(self._preparation.begin(seeds, data[TRAIN]).variables, data[SEARCH_EVAL])
        return {name: float(values[0, 0]) for name, values in jax.device_get(scores).items()}

    @property
    def at_once(self) -> int:
        """See `Execution`."""
        return self.num_devices * self.lanes

    def first_steps(self, trials: Sequence[Trial], num_steps: int) -> int:
        """See `Execution.first_steps`; of a list that is shorter than there are lanes, trials are repeated."""
        population, train, arguments = self._ready(trials)
        encoded, rates, seeds = arguments
        states = population.begin(encoded, seeds, train)
        return int(population.advance(states, encoded, rates, train, num_steps).step.sum())

    def memory(self, trial: Trial) -> int:
        """Bytes on one device while all lanes carry out such trials, the training data included; nothing is run."""
        population, train, (encoded, rates, _) = self._ready([trial])
        return population.memory(encoded, rates, train, self.data(trial.split)[trial.evaluate_on])

    def data_bytes(self, split: int) -> int:
        """Bytes of the training data on one device."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self.data(split)[TRAIN])) // self.num_devices

    def _ready(self, trials: Sequence[Trial]) -> tuple[Lanes, PyTree, tuple[PyTree, Array, Array]]:
        """The programs, the training data and the arguments of a full set of lanes."""
        filled = list(itertools.islice(itertools.cycle(trials), self.at_once))
        return self.family_lanes(trials[0].family), self.data(trials[0].split)[TRAIN], self.arguments(filled)

    def family_lanes(self, family: LossFamily) -> Lanes:
        """The compiled programs of a family; made once."""
        if family.name not in self._lanes:
            training = Training(self._task, family, self._settings, self._dispatch, self._preparation.preparation)
            self._lanes[family.name] = Lanes(training, self._preparation)
        return self._lanes[family.name]

    def arguments(self, trials: Sequence[Trial]) -> tuple[PyTree, Array, Array]:
        """Stacked candidates, rates float32 and seeds uint32, all `[D, K]`, of as many trials as there are lanes."""
        shape = (self.num_devices, self.lanes)
        rates = jnp.asarray([trial.learning_rate for trial in trials], jnp.float32).reshape(shape)
        seeds = jnp.asarray([trial.seed for trial in trials], jnp.uint32).reshape(shape)
        return stack_encoded([trial.encoded for trial in trials], self.num_devices), rates, seeds

    def _place(self, data: PyTree) -> PyTree:
        return replicate(data, self.num_devices)

    def _run_group(self, trials: Sequence[Trial], indices: Sequence[int]) -> Iterator[tuple[int, tuple[Outcome, float]]]:
        """(index of the trial, its result), as they come; all trials share family, division and evaluation."""
        first = trials[indices[0]]
        population, data = self.family_lanes(first.family), self.data(first.split)
        train, examples = data[TRAIN], data[first.evaluate_on]
        num_steps = self._preparation.preparation.num_steps(slice_shapes(train))
        block = -(-num_steps // BLOCKS_PER_TRAINING)
        waiting = collections.deque(indices)
        lanes: list[_Lane | None] = [None] * self.at_once
        states = encoded = rates = None
        while waiting or any(lanes):
            started = time.perf_counter()
            if waiting:
                chosen = _fill(lanes, waiting, trials)
                # An empty lane needs some candidate too.
                encoded, rates, seeds = self.arguments([lane.trial if lane else first for lane in lanes])
                fresh, chosen = population.begin(encoded, seeds, train), self._grid(chosen)
                # The first time, lanes that are not chosen are empty.
                states = without_empty(fresh, chosen) if states is None else self._preparation.merge(states, fresh, chosen)
            states = population.advance(states, encoded, rates, train, block)
            results = self._finished(population.training, states, examples, lanes, num_steps)
            seconds = time.perf_counter() - started
            occupied = [lane for lane in lanes if lane]
            for lane in occupied:
                lane.seconds += seconds / len(occupied)
            for place, outcome in results:
                lane, lanes[place] = lanes[place], None
                yield lane.index, (outcome, lane.seconds)

    def _finished(
        self, training: Training, states: TrainState, examples: PyTree, lanes: Sequence[_Lane | None], num_steps: int
    ) -> list[tuple[int, Outcome]]:
        """(place, outcome) of the occupied lanes that are at their end or no longer finite."""
        finite, steps = (flags.reshape(-1) for flags in jax.device_get((states.finite, states.step)))
        places = [place for place, lane in enumerate(lanes) if lane and (not finite[place] or steps[place] >= num_steps)]
        scores = {}
        if any(finite[place] for place in places):
            scores = jax.device_get(self._preparation.scores(states.variables, examples))
        results = []
        for place in places:
            device, number = divmod(place, self.lanes)
            own = {name: values[device, number] for name, values in scores.items()}
            variables = None
            if lanes[place].trial.keep_variables:
                variables = jax.tree.map(lambda leaf, at=(device, number): leaf[at], states.variables)
            results.append((place, training.outcome(own, finite[place], steps[place], variables)))
        return results

    def _grid(self, flags: Sequence[bool]) -> Array:
        return jnp.asarray(flags).reshape(self.num_devices, self.lanes)


def _fill(lanes: list[_Lane | None], waiting: collections.deque[int], trials: Sequence[Trial]) -> list[bool]:
    """Gives empty lanes the next trials; returns which lanes got one."""
    chosen = [False] * len(lanes)
    for place, lane in enumerate(lanes):
        if lane is None and waiting:
            index = waiting.popleft()
            lanes[place], chosen[place] = _Lane(index, trials[index]), True
    return chosen
