"""The search in lock-step: copies from one state, the best one goes on, whatever carries them out and wherever it is stopped."""

import dataclasses
import itertools
import re

import chex
import jax
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.execution.base import Trial
from jaxloss.execution.choice import ExecutionFactory, Parallelism, check_lanes
from jaxloss.execution.population import PopulationExecution
from jaxloss.execution.serial import SerialExecution
from jaxloss.runs import Archive
from jaxloss.runs.checkpoints import Checkpoints
from jaxloss.search.lockstep import LockstepLoop, LockstepPlan
from jaxloss.systems.am_lfs.form import as_theta
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.settings import TrainingSettings
from tests.am_lfs.losses import SPACE
from tests.compilations import counted
from tests.errors import user_error

TASK = make_fast(FastSettings(size=40))
SETTINGS = TrainingSettings(batch_size=10, num_epochs=3.0)
PLAN = LockstepPlan("lockstep_0", num_samples=5, learning_rate=0.3, seed=7, division=0)
# Three epochs of rounding in a batch of networks, on this task; the winners of all rounds are the same.
TOLERANCE = 1e-4


class Told:
    """Keeps the lines that stay, and the steps."""

    def __init__(self):
        self.lines, self.steps = [], []

    def message(self, text):
        self.lines.append(text)

    def step(self, stage, done, total, detail=""):
        self.steps.append((done, total, detail))


class Stopped(Exception):
    pass


class StopsAfter:
    """An execution that breaks off after so many trials."""

    def __init__(self, execution, count):
        self._execution, self._left = execution, count

    def __getattr__(self, name):
        return getattr(self._execution, name)

    def run(self, trials):
        for done in self._execution.run(trials):
            if self._left == 0:
                raise Stopped
            self._left -= 1
            yield done


@pytest.fixture(scope="module")
def serial():
    execution = SerialExecution(TASK, SETTINGS)
    yield execution
    execution.close()


def searched(path, execution, space=SPACE, progress=None, **changes):
    """The loop after its run, and what its archive holds."""
    path.mkdir(exist_ok=True)
    with Archive(path / "archive.sqlite") as archive:
        plan = dataclasses.replace(PLAN, **changes)
        loop = LockstepLoop(plan, space, execution, archive, Checkpoints(path / "checkpoints"), progress or Told())
        loop.run()
        assert loop.end is None or loop.end.steps == loop.state.steps
        return loop, archive.comparable()


def drawing(space, draw):
    """The space with draws of its distribution changed: `draw(round, place, candidate)`."""
    rounds = itertools.count()

    def sample(state, generator, count):
        number = next(rounds)
        drawn = space.distribution.sample(state, generator, count)
        return [draw(number, place, one) for place, one in enumerate(drawn)]

    return dataclasses.replace(space, distribution=dataclasses.replace(space.distribution, sample=sample))


EXPLODING = {"classification": as_theta(np.full((4, 6), 3e38, np.float32))}


def test_the_next_round_starts_from_the_state_of_the_best_copy_to_the_bit(tmp_path, serial):
    """Weights, optimiser, order and key, against the trials of the first two rounds run by hand."""
    loop, stored = searched(tmp_path, serial)
    distribution, state, start = SPACE.distribution, SPACE.distribution.start(), PLAN.seed
    for number in range(3):
        drawn = distribution.sample(state, np.random.default_rng((PLAN.seed, number)), PLAN.num_samples)
        trials = [Trial(SPACE, SPACE.encode(one), 0.3, start, 0, SEARCH_EVAL, 4, keep_end=True) for one in drawn]
        outcomes = [outcome for outcome, _ in serial.run(trials)]
        scores = [outcome.score for outcome in outcomes]
        best = int(np.argmax(scores))
        assert loop.state.rounds[number].winner == PLAN.num_samples * number + best
        assert loop.state.rounds[number].formula == SPACE.write(drawn[best])
        state, start = distribution.update(state, drawn, np.array(scores)), outcomes[best].end
    chex.assert_trees_all_equal(loop.end.state, start.state)
    assert loop.state.distribution == state
    assert np.abs(start.state.optimiser[0].trace["kernel"]).max() > 0
    rows = stored["candidates"]
    assert [row["proposal"] for row in rows] == list(range(15))
    assert [row["parent"] for row in rows[5:10]] == [loop.state.rounds[0].winner] * 5
    assert len(stored["trainings"]) == 15
    assert loop.checkpoints.names() == ["lockstep_0_round_2"]


def test_a_round_compiles_nothing_after_the_first(tmp_path):
    """One program for all losses, rounds and copies, from a seed and from a handle."""
    execution = SerialExecution(TASK, SETTINGS)
    searched(tmp_path / "first", execution, num_samples=3)
    with counted() as compilations:
        searched(tmp_path / "second", execution, num_samples=4, seed=8)
    assert not compilations
    assert execution.compilations == {"training am_lfs": 1}
    execution.close()


@pytest.mark.parametrize(
    ("lanes", "devices"), [pytest.param(5, 1, marks=pytest.mark.slow), pytest.param(2, 1, marks=pytest.mark.slow), (2, 2)]
)
def test_any_chunking_gives_the_same_search(tmp_path, serial, lanes, devices):
    if devices > jax.device_count():
        pytest.skip("needs two devices")
    expected, _ = searched(tmp_path / "serial", serial)
    execution = PopulationExecution(TASK, SETTINGS, lanes, devices)
    found, _ = searched(tmp_path / "population", execution)
    execution.close()
    assert [one.winner for one in found.state.rounds] == [one.winner for one in expected.state.rounds]
    np.testing.assert_allclose(found.state.distribution["mean"], expected.state.distribution["mean"], atol=TOLERANCE)
    chex.assert_trees_all_close(found.end.variables, expected.end.variables, atol=TOLERANCE)
    assert execution.compilations == {"training am_lfs": 1}


def test_without_learning_the_distribution_stays(tmp_path, serial):
    loop, _ = searched(tmp_path, serial, learns=False)
    assert loop.state.distribution == SPACE.distribution.start()
    assert loop.state.steps == 12


def test_every_copy_is_told_of_and_each_round_with_its_rewards(tmp_path, serial):
    told, again = Told(), Told()
    loop, _ = searched(tmp_path / "whole", serial, progress=told)
    assert [step[:2] for step in told.steps] == [(done, 15) for done in range(1, 16)]
    first = loop.state.rounds[0]
    rewards = f"round 1 of 3; rewards: mean {first.mean:.4f}, best {first.best:.4f}"
    assert [step[2] for step in told.steps[3:6]] == ["round 1 of 3", rewards, "round 2 of 3"]
    with pytest.raises(Stopped):
        searched(tmp_path / "stopped", StopsAfter(serial, 7))
    searched(tmp_path / "stopped", serial, progress=again)
    assert again.steps == told.steps[5:]


@pytest.mark.parametrize("side_by_side", [False, True])
def test_copies_that_meet_nan_leave_the_others_alone_and_never_win(tmp_path, serial, side_by_side):
    """The others are scored as if these were not there, and so is what is learned from them; in one step, too."""
    execution = PopulationExecution(TASK, SETTINGS, 3, 1) if side_by_side else serial
    some = drawing(SPACE, lambda number, place, one: EXPLODING if place in (0, 3) else one)
    loop, stored = searched(tmp_path / "some", execution, some)
    plain, unharmed = searched(tmp_path / "none", execution)
    for row, other in zip(stored["candidates"][:5], unharmed["candidates"][:5], strict=True):
        assert row["score"] == (None if row["proposal"] in (0, 3) else other["score"])
    assert [one.stopped for one in loop.state.rounds] == [2, 2, 2]
    assert all(one.winner % 5 not in (0, 3) for one in loop.state.rounds)
    assert loop.state.steps == plain.state.steps == 12
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(loop.end.variables))
    if side_by_side:
        execution.close()


def test_a_round_without_any_copy_left_is_drawn_again(tmp_path, serial):
    told = Told()
    once = drawing(SPACE, lambda number, place, one: EXPLODING if number == 1 else one)
    loop, _ = searched(tmp_path, serial, once, told)
    assert [one.best is None for one in loop.state.rounds] == [False, True, False, False]
    before, lost, after = loop.state.rounds[:3]
    assert (lost.steps, lost.numbers, lost.winner) == (before.steps, before.numbers, before.winner)
    assert after.steps == 8
    assert loop.state.steps == 12
    assert told.lines == ["lockstep_0, round 1: all 5 copies met NaN or infinity; the last good weights, after 4 steps, are kept"]


def test_too_many_lost_rounds_end_the_search_with_the_last_good_weights(tmp_path, serial):
    told = Told()
    always = drawing(SPACE, lambda number, place, one: EXPLODING if number else one)
    loop, _ = searched(tmp_path / "later", serial, always, told, most_failures=2)
    assert [one.best is None for one in loop.state.rounds] == [False, True, True]
    assert loop.end.steps == 4
    assert told.lines[-1].endswith("are kept and the search ends with them")
    never = drawing(SPACE, lambda number, place, one: EXPLODING)
    loop, _ = searched(tmp_path / "never", serial, never, told, most_failures=2)
    assert loop.end is None


@pytest.mark.parametrize("learns", [True, False])
def test_a_search_that_stops_at_any_moment_ends_the_same(tmp_path, serial, learns):
    expected, content = searched(tmp_path / "whole", serial, learns=learns)
    for count in (0, 2, 5, 8, 14):
        path = tmp_path / f"stopped {count}"
        with pytest.raises(Stopped):
            searched(path, StopsAfter(serial, count), learns=learns)
        found, again = searched(path, serial, learns=learns)
        assert again == content
        chex.assert_trees_all_equal(found.end.state, expected.end.state)


def test_a_checkpoint_that_a_kill_left_behind_is_not_taken_up(tmp_path, serial):
    """Saved, but not committed: the round is repeated from the one before."""
    expected, content = searched(tmp_path / "whole", serial)
    path = tmp_path / "stopped"
    with pytest.raises(Stopped):
        searched(path, StopsAfter(serial, 6))
    other = dataclasses.replace(expected.end, state=dataclasses.replace(expected.end.state, step=np.int32(1)))
    Checkpoints(path / "checkpoints").save("lockstep_0_round_1", other)
    found, again = searched(path, serial)
    assert again == content
    chex.assert_trees_all_equal(found.end.state, expected.end.state)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda checkpoints, end: checkpoints.remove("lockstep_0_round_0"), "unknown checkpoint 'lockstep_0_round_0'"),
        (lambda checkpoints, end: checkpoints.save("lockstep_0_round_0", {"w": np.ones(3)}), "does not fit: it"),
        (lambda checkpoints, end: checkpoints.save("lockstep_0_round_0", widened(end)), "does not fit: leaf 'state/"),
    ],
)
def test_a_checkpoint_that_is_not_the_runs_own_is_one_line(tmp_path, serial, damage, says):
    whole, _ = searched(tmp_path / "whole", serial)
    path = tmp_path / "stopped"
    with pytest.raises(Stopped):
        searched(path, StopsAfter(serial, 6))
    damage(Checkpoints(path / "checkpoints"), whole.end)
    with user_error(says, "put the run's own checkpoint back, or begin again with --restart, or in another directory"):
        searched(path, serial)


def widened(end):
    """Of a network with twice as many features."""
    return jax.tree.map(lambda leaf: np.concatenate([leaf, leaf]) if np.ndim(leaf) else leaf, end)


def test_more_copies_than_fit_are_refused_and_the_most_that_fit_are_named():
    """By compiling for them: nothing is run."""
    factory = ExecutionFactory(TASK, SETTINGS)
    candidate = SPACE.encode(SPACE.parse(SPACE.known_losses["softmax"]))
    trial = Trial(SPACE, candidate, 0.3, 0, 0, SEARCH_EVAL, 4, keep_end=True)
    check_lanes(8, trial, factory)
    sixteen = factory.make(Parallelism("vmap", 16))
    budget = sixteen.memory(trial) - sixteen.data_bytes(0)
    with pytest.raises(UserError, match=r"execution.lanes=64: so many .* need 0\.0\d GiB on a device") as error:
        check_lanes(64, trial, factory, budget=budget)
    most = int(re.search(r"(\d+) fit", str(error.value)).group(1))
    assert 0 < most < 64
    check_lanes(most, trial, factory, budget=budget)
