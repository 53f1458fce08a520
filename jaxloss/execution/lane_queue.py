"""A list of trials of one kind, carried out by lanes: who goes on in which lane, how far, and what is done."""

import collections
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp

from jaxloss.core.devices import first_device, replicate, slice_shapes
from jaxloss.core.types import Array, PyTree
from jaxloss.execution.base import Trial
from jaxloss.execution.lanes import LaneTraining, without_empty
from jaxloss.graphs.stacking import stack_encoded
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.state import Outcome, StateHandle, TrainState

# The host looks at the lanes so often: a lane that met NaN stands idle for one part of a training at most.
BLOCKS_PER_TRAINING = 16


@dataclasses.dataclass
class _Lane:
    """What the host knows of an occupied lane.

    Attributes:
      index: of its trial in the list.
      trial: that it carries out.
      step: that its training has reached.
      end: step at which the trial is done.
      seconds: its share of the time so far.
    """

    index: int
    trial: Trial
    step: int
    end: int
    seconds: float = 0.0


class LaneQueue:
    """Trials that share family, division and evaluation; lanes that are done take the next ones."""

    def __init__(
        self, training: LaneTraining, data: Mapping[str, PyTree], trials: Sequence[tuple[int, Trial]], lanes_per_device: int
    ):
        """Args:
        training: the programs of the family.
        data: of the division, on the devices.
        trials: (index, trial), one at least.
        lanes_per_device: `K`.
        """
        self._training, self._preparation = training, training.preparation
        self._train = data[TRAIN]
        self._first = trials[0][1]
        self._examples = None if self._first.evaluate_on is None else data[self._first.evaluate_on]
        self._num_steps = self._preparation.preparation.num_steps(slice_shapes(self._train))
        self._waiting = collections.deque(trials)
        self._shape = (self._preparation.num_devices, lanes_per_device)
        self._lanes: list[_Lane | None] = [None] * (self._shape[0] * lanes_per_device)
        self._states: TrainState | None = None
        self._encoded: PyTree = None
        self._rates: Array | None = None

    def results(self) -> Iterator[tuple[int, tuple[Outcome, float]]]:
        """(index of the trial, (outcome, seconds)), as they come."""
        while self._waiting or any(self._lanes):
            started = time.perf_counter()
            if self._waiting:
                self._fill()
            self._advance(self._block())
            results = self._finished()
            seconds = time.perf_counter() - started
            occupied = [lane for lane in self._lanes if lane]
            for lane in occupied:
                lane.seconds += seconds / len(occupied)
            for place, outcome in results:
                lane, self._lanes[place] = self._lanes[place], None
                yield lane.index, (outcome, lane.seconds)

    def first_steps(self, num_steps: int) -> int:
        """Fills the lanes, waits for so many steps of each, and says how many were done in all."""
        self._fill()
        before = sum(lane.step for lane in self._lanes if lane)
        self._advance(num_steps)
        return int(self._states.step.sum()) - before

    # --- filling ---------------------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Gives empty lanes the next trials, and the states that these start from."""
        chosen = [place for place, lane in enumerate(self._lanes) if lane is None][: len(self._waiting)]
        for place in chosen:
            index, trial = self._waiting.popleft()
            end = self._num_steps if trial.num_steps is None else trial.steps_before + trial.num_steps
            self._lanes[place] = _Lane(index, trial, trial.steps_before, end)
        # An empty lane needs some candidate too.
        trials = [lane.trial if lane else self._first for lane in self._lanes]
        self._encoded, self._rates = stack_candidates(trials, self._shape[0])
        taken_up: dict[int, list[int]] = {}
        for place in chosen:
            if isinstance(trials[place].start, StateHandle):
                taken_up.setdefault(id(trials[place].start), []).append(place)
        fresh = sorted(set(chosen).difference(*taken_up.values()))
        if fresh:
            self._begin(trials, self._grid(fresh))
        for places in taken_up.values():
            # One call for all lanes that start from one handle.
            self._take_up(trials[places[0]].start, self._grid(places))

    def _begin(self, trials: Sequence[Trial], chosen: Array) -> None:
        """Puts states before the first step into the lanes that are chosen."""
        # Seeds of lanes that are not chosen do not matter.
        seeds = [0 if isinstance(trial.start, StateHandle) else trial.start for trial in trials]
        seeds = jnp.asarray(seeds, jnp.uint32).reshape(self._shape)
        fresh = self._training.begin(self._encoded, seeds, self._train)
        if self._states is None:
            self._states = without_empty(fresh, chosen)
        else:
            self._states = self._preparation.merge(self._states, fresh, chosen)

    def _take_up(self, handle: StateHandle, chosen: Array) -> None:
        """Puts the state of a handle into the lanes that are chosen."""
        state = replicate(handle.on_device(), self._shape[0])
        if self._states is None:
            self._states = without_empty(self._preparation.broadcast(state, chosen), chosen)
        else:
            self._states = self._preparation.insert(self._states, state, chosen)

    def _grid(self, places: Sequence[int]) -> Array:
        """bool `[D, K]`, true at these places."""
        return jnp.asarray([place in places for place in range(len(self._lanes))]).reshape(self._shape)

    # --- training --------------------------------------------------------------------------------------------------------------

    def _block(self) -> int:
        """Steps until the host looks again: no lane goes beyond the end of its trial, where its training would go on."""
        left = [lane.end - lane.step for lane in self._lanes if lane and lane.end < self._num_steps]
        return min([-(-self._num_steps // BLOCKS_PER_TRAINING), *left])

    def _advance(self, num_steps: int) -> None:
        self._states = self._training.advance(self._states, self._encoded, self._rates, self._train, num_steps)

    # --- what is done ----------------------------------------------------------------------------------------------------------

    def _finished(self) -> list[tuple[int, Outcome]]:
        """(place, outcome) of the occupied lanes that are at their end or no longer finite."""
        finite, steps = (flags.reshape(-1) for flags in jax.device_get((self._states.finite, self._states.step)))
        places = []
        for place, lane in enumerate(self._lanes):
            if lane:
                lane.step = int(steps[place])
                if not finite[place] or lane.step >= lane.end:
                    places.append(place)
        scored = [place for place in places if finite[place]] if self._examples is not None else []
        scores = {}
        if scored:
            found = self._preparation.evaluate(self._states.variables, self._examples, [self._at(place) for place in scored])
            scores = dict(zip(scored, found, strict=True))
        results = []
        for place in places:
            end = self._handle(*self._at(place)) if self._lanes[place].trial.keep_end else None
            outcome = self._training.training.outcome(scores.get(place), finite[place], steps[place], end)
            if self._lanes[place].trial.show and outcome.score is not None:
                outcome = dataclasses.replace(outcome, shown=self._shown(*self._at(place)))
            results.append((place, outcome))
        return results

    def _shown(self, device: int, number: int) -> Mapping[str, Array] | None:
        """What pictures are drawn of, of the network in one lane."""
        if self._training.training.task.pictures is None:
            return None
        variables = self._handle(device, number).variables
        return self._preparation.preparation.evaluation.shown(variables, first_device(self._examples))

    def _at(self, place: int) -> tuple[int, int]:
        """(device, number of the lane on it)."""
        return divmod(place, self._shape[1])

    def _handle(self, device: int, number: int) -> StateHandle:
        states = jax.device_get(self._preparation.lane(self._states, replicate(jnp.int32(number), self._shape[0])))
        state = jax.tree.map(lambda leaf: leaf[device], states)
        return StateHandle.of(state, self._first.division, self._training.training.task.name)


def stack_candidates(trials: Sequence[Trial], num_devices: int) -> tuple[PyTree, Array]:
    """Stacked candidates and rates float32, all `[D, K]`, of as many trials as there are lanes."""
    rates = jnp.asarray([trial.learning_rate for trial in trials], jnp.float32).reshape(num_devices, -1)
    return stack_encoded([trial.encoded for trial in trials], num_devices), rates
