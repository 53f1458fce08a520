"""Trials that are parts of trainings: from a seed or a handle, for so many steps, scored or not; the same call everywhere."""

import dataclasses
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.execution.base import Trial
from jaxloss.execution.data_parallel import DataParallelExecution
from jaxloss.execution.population import PopulationExecution
from jaxloss.execution.serial import SerialExecution
from jaxloss.runs.checkpoints import Checkpoints
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.classification import make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.settings import TrainingSettings
from tests.compilations import counted

TASK = make_fast(FastSettings(size=40))
FOCAL = family("focal")
# With a schedule, momentum and an order of the data that all go on where they were.
SETTINGS = TrainingSettings(batch_size=10, num_epochs=5, warmup_epochs=1.0)
NUM_STEPS = 20

needs_devices = pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")
DISPATCHED = ["whole", "steps"]
MODES = ["serial", "vmap", *(pytest.param(mode, marks=needs_devices) for mode in ("pmap", "data_parallel"))]
BATCHED = MODES[1:]
# Rounding of a batch of networks over twenty steps of this task.
TOLERANCE = 1e-4


def make(mode, task=TASK, settings=SETTINGS, dispatch="whole", lanes=2):
    if mode == "serial":
        return SerialExecution(task, settings, 1, dispatch)
    if mode == "data_parallel":
        return DataParallelExecution(task, settings, 2, 1, dispatch)
    return PopulationExecution(task, settings, lanes, 2 if mode == "pmap" else 1, 1, dispatch)


def trial(start=0, num_steps=None, gamma=2.0, rate=0.3, evaluate_on=SEARCH_EVAL, division=0):
    return Trial(FOCAL, FOCAL.encode({"gamma": gamma}), rate, start, division, evaluate_on, num_steps, keep_end=True)


def run(execution, *trials):
    return [outcome for outcome, _ in execution.run(trials)]


@pytest.fixture(scope="module")
def executions():
    """One of each kind, compiled once for all tests."""
    made = {}

    def get(mode, dispatch="whole"):
        if (mode, dispatch) not in made:
            made[mode, dispatch] = make(mode, dispatch=dispatch)
        return made[mode, dispatch]

    yield get
    for execution in made.values():
        execution.close()


def assert_same_end(found, expected, tolerance=0.0):
    """The whole states agree: network, optimiser, orders, step, key."""
    assert (found.steps, found.finite) == (expected.steps, expected.finite)
    assert jax.tree.structure(found.end) == jax.tree.structure(expected.end)
    for leaf, wanted in zip(jax.tree.leaves(found.end), jax.tree.leaves(expected.end), strict=True):
        np.testing.assert_allclose(leaf, wanted, rtol=tolerance, atol=tolerance)


# --- parts of a training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dispatch", DISPATCHED)
@pytest.mark.parametrize("mode", MODES)
def test_parts_are_together_an_undisturbed_training(executions, mode, dispatch):
    """Bit for bit, also in a batch of networks: the same programs see the same numbers."""
    execution = executions(mode, dispatch)
    (whole,) = run(execution, trial())
    (first,) = run(execution, trial(num_steps=7, evaluate_on=None))
    assert (first.score, dict(first.scores), first.steps, first.finite) == (None, {}, 7, True)
    assert first.end.steps == 7
    (second,) = run(execution, trial(first.end, num_steps=6))
    (third,) = run(execution, trial(second.end))
    assert second.steps == 13
    assert second.score is not None
    assert_same_end(third, whole)
    assert (third.score, third.scores) == (whole.score, whole.scores)


@pytest.mark.parametrize("mode", BATCHED)
def test_a_handle_goes_from_one_execution_to_another(executions, mode):
    serial, other = executions("serial"), executions(mode)
    (whole,) = run(serial, trial())
    for first, second in ((serial, other), (other, serial)):
        (begun,) = run(first, trial(num_steps=9))
        (found,) = run(second, trial(begun.end))
        assert_same_end(found, whole, TOLERANCE)


@pytest.mark.parametrize("mode", MODES)
def test_many_may_start_from_one_handle(executions, mode):
    """Other candidates and rates too; the handle stays as it is, though a step takes the buffers of its state."""
    execution = executions(mode, "steps")
    (begun,) = run(execution, trial(num_steps=5))
    before = jax.tree.map(np.copy, begun.end)
    wanted = [{}, {"gamma": 0.5}, {"rate": 0.1}, {}, {"gamma": 1.0, "rate": 0.2}]
    found = run(execution, *(trial(begun.end, 8, **one) for one in wanted))
    assert [one.steps for one in found] == [13] * 5
    chex.assert_trees_all_equal(begun.end, before)
    assert_same_end(found[0], found[3])
    for one, options in zip(found, wanted, strict=True):
        assert_same_end(one, run(executions("serial"), trial(begun.end, 8, **options))[0], TOLERANCE)
    kernels = [one.end.variables["params"]["kernel"] for one in found]
    assert not np.allclose(kernels[0], kernels[1], rtol=1e-3)
    assert not np.allclose(kernels[0], kernels[2], rtol=1e-3)


def mixed_trials(begun, other):
    """More than there are lanes, of all kinds."""
    return [
        trial(begun.end, 3),
        trial(1),
        trial(2, 4, gamma=np.nan),
        trial(other.end),
        trial(3, 1, evaluate_on=None),
        trial(begun.end, 12, gamma=1.0),
        trial(4, 0),
        trial(other.end, gamma=np.nan),
        trial(5, 19),
    ]


@pytest.fixture(scope="module")
def mixed(executions):
    """Two handles, the same trials from them one by one, and how these ended."""
    begun, other = run(executions("serial"), trial(num_steps=5), trial(7, num_steps=11))
    return begun, other, [run(executions("serial"), one)[0] for one in mixed_trials(begun, other)]


@pytest.mark.parametrize("mode", MODES)
def test_a_list_may_mix_starts_and_numbers_of_steps(executions, mixed, mode):
    """What meets NaN leaves the others alone, and has its last finite state as its end."""
    begun, other, expected = mixed
    found = run(executions(mode), *mixed_trials(begun, other))
    assert [one.steps for one in found] == [8, 20, 0, 20, 1, 17, 0, 11, 19]
    assert [one.finite for one in found] == [True, True, False, True, True, True, True, False, True]
    assert [one.score is None for one in found] == [False, False, True, False, True, False, False, True, False]
    for one, wanted in zip(found, expected, strict=True):
        assert_same_end(one, wanted, TOLERANCE)
        assert one.scores == pytest.approx(wanted.scores, abs=0.03)


@pytest.mark.parametrize("mode", MODES)
def test_from_the_second_call_on_nothing_is_compiled(executions, mode):
    execution = executions(mode, "steps")

    def halving(seed):
        begun = run(execution, *(trial(seed + number, 4) for number in range(4)))
        middle = run(execution, *(trial(one.end, 6, gamma=1.5) for one in begun[:2]))
        return run(execution, trial(middle[0].end), trial(seed))

    halving(0)
    with counted() as compiled:
        halving(10)
    assert not compiled
    assert execution.compilations == {"training focal": 1}


@pytest.mark.parametrize("mode", ["serial", "vmap"])
def test_the_scale_of_a_loss_goes_on_with_its_training(mode):
    execution = make(mode, settings=TrainingSettings("adam", batch_size=10, num_epochs=1, loss_scale="unit_gradient"))
    (whole,) = run(execution, trial(rate=0.05))
    (begun,) = run(execution, trial(rate=0.05, num_steps=2))
    (found,) = run(execution, trial(begun.end, rate=0.05))
    execution.close()
    assert float(begun.end.state.loss_scale) != 1
    assert_same_end(found, whole)


def test_statistics_and_random_draws_go_on():
    """Running statistics are part of the state; augmentation and dropout draw from the key in it, by the number of the step."""

    def init(key):
        return {**TASK.init(key), "batch_stats": {"mean": jnp.zeros(2)}}

    def augment(batch, key):
        return {**batch, "point": batch["point"] + 0.1 * jax.random.normal(key, batch["point"].shape)}

    def forward(variables, batch, key):
        mean = 0.9 * variables["batch_stats"]["mean"] + 0.1 * batch["point"].mean(axis=0)
        kept = batch["point"] * jax.random.bernoulli(key, 0.8, batch["point"].shape) - mean
        inputs, _ = TASK.forward(variables, {**batch, "point": kept}, key)
        return inputs, {**variables, "batch_stats": {"mean": mean}}

    execution = make("serial", dataclasses.replace(TASK, init=init, augment=augment, forward=forward))
    whole, begun = run(execution, trial(), trial(num_steps=7))
    (found,) = run(execution, trial(begun.end))
    assert np.any(begun.end.variables["batch_stats"]["mean"])
    assert_same_end(found, whole)
    execution.close()


# --- stored --------------------------------------------------------------------------------------------------------------------

_ELSEWHERE = """
import sys
import numpy as np
from jaxloss.runs.checkpoints import Checkpoints
from tests.test_trials import make, run, trial
execution = make("vmap")
handle = Checkpoints(sys.argv[1]).load("begun", like=execution.handle_like(0))
(outcome,) = run(execution, trial(handle))
execution.close()
assert handle.steps == 9
print(outcome.steps, outcome.score)
Checkpoints(sys.argv[1]).save("done", outcome.end)
"""


@pytest.mark.slow
def test_a_stored_handle_is_taken_up_in_another_process(executions, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    begun, whole = run(executions("serial"), trial(num_steps=9), trial())
    checkpoints.save("begun", begun.end)
    done = subprocess.run([sys.executable, "-c", _ELSEWHERE, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps, score = done.stdout.split()
    assert int(steps) == NUM_STEPS
    assert float(score) == pytest.approx(whole.score, abs=0.03)
    end = checkpoints.load("done", like=executions("serial").handle_like(0))
    for leaf, wanted in zip(jax.tree.leaves(end), jax.tree.leaves(whole.end), strict=True):
        np.testing.assert_allclose(leaf, wanted, rtol=TOLERANCE, atol=TOLERANCE)


# --- mistakes ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_mistakes_are_one_line_before_anything_is_trained(executions, mode):
    execution = executions(mode)
    (begun,) = run(execution, trial(num_steps=15))
    with pytest.raises(UserError, match=r"asks for 21 steps.*'fast' has 20 after the 0"):
        run(execution, trial(num_steps=21))
    with pytest.raises(UserError, match=r"asks for 6 steps.*'fast' has 5 after the 15.*ask for 0 to 5"):
        run(execution, trial(begun.end, 6))
    with pytest.raises(UserError, match="asks for -1 steps"):
        run(execution, trial(num_steps=-1))
    with pytest.raises(UserError, match=r"division 1 of the data cannot start.*trained on division 0"):
        run(execution, trial(begun.end, division=1))


def test_a_handle_of_another_training_does_not_fit(executions):
    (begun,) = run(executions("serial"), trial(num_steps=1))
    digits = make_classification(ClassificationSettings(train_limit=40, search_eval_limit=40, test_limit=40))
    longer = TrainingSettings(batch_size=10, num_epochs=9)
    adam = TrainingSettings("adam", batch_size=10, num_epochs=5, warmup_epochs=1.0)
    for task, settings, message in (
        (digits, SETTINGS, "a trial of the task 'digits' cannot start from the state of a training of 'fast'"),
        (TASK, longer, r"does not fit: .orders is int32\[5, 40\], not int32\[9, 40\]"),
        (TASK, adam, r"does not fit: .optimiser.* is absent, not"),
    ):
        other = make("serial", task, settings)
        with pytest.raises(UserError, match=message) as raised:
            run(other, trial(begun.end))
        assert "\n" not in str(raised.value)
        other.close()
