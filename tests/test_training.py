"""One training: the same in every way of running it, stopped by NaN, and equal for all losses but in the loss."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.family import BranchInputs
from jaxloss.execution.base import Trial
from jaxloss.execution.serial import SerialExecution
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN
from jaxloss.tasks.train import Training
from tests.compilations import counted
from tests.small_training import NUM_STEPS, SETTINGS, SPACE, TASK, kernel

CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"
# Finite at first; the prediction grows until its exponential overflows.
EXPLODES = "Mul(target, Neg(Exp(Exp(Mul(prediction, 5)))))"


def encoded(text):
    return SPACE.encode(SPACE.parse(text))


def train(training, text=CROSS_ENTROPY, rate=0.3, seed=0, task=TASK, evaluate_on=SEARCH_EVAL):
    return training.run(encoded(text), rate, seed, task.data, evaluate_on, keep_end=True)


@pytest.fixture(scope="module")
def training():
    return Training(TASK, SPACE, SETTINGS)


# --- the ways of running it --------------------------------------------------------------------------------------------------


def test_one_call_and_one_call_per_step_agree(training):
    steps = Training(TASK, SPACE, SETTINGS, "steps", training.preparation)
    for text in (CROSS_ENTROPY, "Square(Add(prediction, Neg(target)))"):
        one, other = train(training, text), train(steps, text)
        assert (one.steps, other.steps) == (NUM_STEPS, NUM_STEPS)
        np.testing.assert_allclose(kernel(one), kernel(other), rtol=1e-5, atol=1e-6)
        assert one.score == pytest.approx(other.score)
    assert steps.compilations == 1


def test_a_training_learns(training):
    untrained = TASK.scores(training.preparation.begin(jax.random.key(0), TASK.data[TRAIN]).variables, TASK.data[SEARCH_EVAL])
    assert train(training).score > max(0.7, float(untrained["accuracy"]) + 0.1)


def test_the_score_is_that_of_the_split_asked_for(training):
    for name in (SEARCH_EVAL, TEST):
        outcome = train(training, evaluate_on=name)
        assert outcome.score == pytest.approx(float(TASK.scores(outcome.end.variables, TASK.data[name])["accuracy"]))


def test_one_compilation_for_all_candidates_rates_seeds_and_divisions(training):
    divisions = [TASK.with_division(division) for division in range(3)]
    train(training, CROSS_ENTROPY, 0.1, 0, divisions[0])
    with counted() as compiled:
        train(training, "Mul(prediction, Neg(target))", 0.2, 1, divisions[1])
        train(training, "Exp(Add(prediction, Neg(Square(Add(target, target)))))", 1.0, 2, divisions[2])
    assert not compiled
    assert training.compilations == 1


def plain_training(preparation, loss):
    """A training written down plainly: shuffled batches, SGD with momentum, cosine decay."""

    def run(seed, rate, num_steps):
        state = preparation.begin(jax.random.key(seed), TASK.data[TRAIN])
        params, velocity = state.variables["params"], None
        for step in range(num_steps):
            rows = state.orders[step // 4, (step % 4) * 10 : (step % 4 + 1) * 10]
            batch = jax.tree.map(lambda leaf, rows=rows: leaf[rows], TASK.data[TRAIN])

            def of(params, batch=batch):
                return loss(TASK.forward({"params": params}, batch, None)[0])

            gradient = jax.grad(of)(params)
            velocity = gradient if velocity is None else jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradient)
            factor = 0.5 * (1 + np.cos(np.pi * step / NUM_STEPS))
            params = jax.tree.map(lambda p, v, factor=factor: p - rate * factor * v, params, velocity)
        return params["kernel"]

    return run


@pytest.mark.parametrize("text", [CROSS_ENTROPY, "Neg(Log(Mul(target, Mean_nhw(prediction))))"])
def test_training_is_momentum_descent_on_the_compiled_loss(training, text):
    """The interpreted graph inside the compiled training, against the unrolled graph in a loop of plain JAX."""
    expected = plain_training(training.preparation, SPACE.compile(SPACE.parse(text)))(seed=3, rate=0.1, num_steps=NUM_STEPS)
    np.testing.assert_allclose(kernel(train(training, text, rate=0.1, seed=3)), expected, rtol=1e-4, atol=1e-5)


# --- what all losses share ---------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Recorder:
    """A loss that shows what it is given: it has no gradient, and writes down the targets of every batch."""

    seen: list
    name: str = "recorder"

    def loss(self, encoded, inputs: BranchInputs, axis_name=None):
        (branch,) = inputs.values()
        jax.debug.callback(lambda *arrays: self.seen.append(arrays), branch.arrays["target"], branch.arrays["prediction"])
        return encoded * jnp.sum(branch.arrays["prediction"]) * 0


@pytest.fixture(scope="module")
def recording(training):
    return Training(TASK, Recorder([]), SETTINGS, "steps", training.preparation)


def batches_of(recording, seed, value):
    seen = recording.family.seen
    seen.clear()
    recording.run(jnp.float32(value), 0.1, seed, TASK.data, SEARCH_EVAL)
    jax.effects_barrier()
    return [np.concatenate([target, prediction]) for target, prediction in seen]


def test_initialisation_and_data_order_depend_on_the_seed_alone(recording):
    first, other_loss, other_seed = (batches_of(recording, *given) for given in ((0, 1.0), (0, 2.0), (1, 1.0)))
    assert len(first) == NUM_STEPS
    np.testing.assert_array_equal(first, other_loss)
    assert not np.array_equal(first, other_seed)


def test_every_epoch_shows_every_example_once_in_a_new_order(training):
    orders = np.asarray(training.preparation.begin(jax.random.key(0), TASK.data[TRAIN]).orders)
    assert orders.shape == (5, 40)
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert len({tuple(order) for order in orders}) == 5


def test_batches_follow_the_order_of_the_epoch(training, recording):
    orders = np.asarray(training.preparation.begin(jax.random.key(0), TASK.data[TRAIN]).orders)
    targets = np.eye(3)[np.asarray(TASK.data[TRAIN]["label"])[orders.reshape(-1, 10)]]
    seen = [batch[:10, 0, 0] for batch in batches_of(recording, 0, 1.0)]
    np.testing.assert_array_equal(np.stack(seen), targets)


@dataclasses.dataclass(frozen=True)
class Unrolled:
    """One formula without the interpreter: it compiles quickly."""

    text: str

    @property
    def name(self):
        return self.text

    def loss(self, encoded, inputs: BranchInputs, axis_name=None):
        return SPACE.compile(SPACE.parse(self.text))(inputs)


# --- NaN and infinity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["whole", "steps"])
def test_a_training_that_explodes_is_stopped(way):
    """It has no score, and the state is the last finite one."""
    settings = dataclasses.replace(SETTINGS, num_epochs=100, momentum=0.99)
    training, calls = Training(TASK, Unrolled(EXPLODES), settings, way), []
    name = "_whole" if way == "whole" else "_step"
    step = getattr(training, name)
    vars(training)[name] = lambda *arguments: calls.append(None) or step(*arguments)
    outcome = training.run(None, 50.0, 0, TASK.data, SEARCH_EVAL, keep_end=True)
    assert outcome.score is None
    assert not outcome.finite
    assert outcome.scores == {}
    assert outcome.steps < 200
    assert np.all(np.isfinite(kernel(outcome)))
    # What was on its way when the flag came, of 400 steps.
    assert len(calls) == 1 if way == "whole" else outcome.steps < len(calls) < outcome.steps + 100


def test_a_loss_that_is_nan_at_once_takes_no_step(training):
    outcome = train(training, "Exp(Exp(Exp(Exp(Exp(Exp(Add(prediction, target)))))))")
    assert (outcome.score, outcome.steps) == (None, 0)


# --- execution ---------------------------------------------------------------------------------------------------------------


def trials():
    texts = [CROSS_ENTROPY, EXPLODES, "Square(Add(prediction, Neg(target)))", "Neg(Mul(prediction, target))"] * 2
    found = [Trial(SPACE, encoded(text), 0.2, seed, seed % 2, SEARCH_EVAL) for seed, text in enumerate(texts)]
    focal = family("focal")
    return [*found, *(Trial(focal, focal.encode({"gamma": gamma}), 0.2, 0, 0, TEST) for gamma in (1.0, 2.0))]


def run_all(workers):
    execution = SerialExecution(TASK, SETTINGS, workers)
    try:
        outcomes = [outcome for outcome, _ in execution.run(trials())]
    finally:
        execution.close()
    return [(one.score, one.scores, one.steps) for one in outcomes], execution.compilations


def test_workers_change_nothing_but_the_time(training):
    one, two = run_all(1), run_all(2)
    assert one == two
    results, compilations = one
    assert compilations == {"training autoloss_zero": 1, "training focal": 1}
    for trial, result in list(zip(trials(), results, strict=True))[:8]:
        outcome = training.run(trial.encoded, 0.2, trial.start, TASK.with_division(trial.division).data, SEARCH_EVAL)
        assert (outcome.score, outcome.scores, outcome.steps) == result


def test_trials_that_nobody_waits_for_are_dropped():
    """Each is on a division of its own, which is asked for as it starts."""
    started = []
    task = dataclasses.replace(TASK, with_division=lambda number: started.append(number) or TASK)
    execution = SerialExecution(task, SETTINGS, 1)
    results = execution.run([Trial(SPACE, encoded(CROSS_ENTROPY), 0.2, 0, number, SEARCH_EVAL) for number in range(100)])
    next(results)
    results.close()
    execution.close()
    assert started == list(range(len(started)))
    assert 1 <= len(started) < 50
