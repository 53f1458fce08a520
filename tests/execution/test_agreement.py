"""All ways of carrying trainings out agree: serial, a population on one device and on several, a batch on several."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.execution.base import Trial
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN
from jaxloss.tasks.classification import make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training
from tests.compilations import counted
from tests.execution.trainings import CROSS_ENTROPY, FOCAL, NAN_AT_ONCE, SPACE, TEXTS, make, needs_devices, outcomes, trial

NUM_STEPS = 20


def assert_agree(first, second, tolerance=1e-4):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert (one.steps, one.finite) == (other.steps, other.finite)
        assert one.scores == pytest.approx(other.scores, abs=0.03)
        for leaf, expected in zip(jax.tree.leaves(other.end.variables), jax.tree.leaves(one.end.variables), strict=True):
            np.testing.assert_allclose(leaf, expected, rtol=tolerance, atol=tolerance)


POPULATIONS = ["vmap", pytest.param("pmap", marks=needs_devices)]


# --- agreement ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def expected():
    """The same trials one after the other: two divisions, two seeds, a second family, two that are stopped."""
    return outcomes(make("serial"), many_trials())


def many_trials():
    """More than there are lanes, of mixed kinds."""
    found = [trial(text, start=seed, division=seed % 2) for seed in range(3) for text in TEXTS]
    found += [trial(CROSS_ENTROPY, evaluate_on=TEST)]
    by_hand = [Trial(FOCAL, FOCAL.encode({"gamma": gamma}), 0.3, 1, 0, TEST, keep_end=True) for gamma in (1.0, 2.0)]
    return [*found[:2], *by_hand, *found[2:]]


@pytest.mark.parametrize(
    ("mode", "dispatch"),
    [
        ("vmap", "whole"),
        pytest.param("vmap", "steps", marks=pytest.mark.slow),
        pytest.param("pmap", "whole", marks=[needs_devices, pytest.mark.slow]),
        # Step by step on several devices is also compared with single trainings where trainings are done in parts.
        pytest.param("pmap", "steps", marks=[needs_devices, pytest.mark.slow]),
    ],
)
def test_a_population_agrees_with_single_trainings(expected, mode, dispatch):
    """Lanes are refilled, those with NaN early; outcomes come in the order of the trials."""
    execution = make(mode, dispatch=dispatch)
    found = outcomes(execution, many_trials())
    assert {one.steps for one in found} >= {0, NUM_STEPS}
    assert_agree(expected, found)
    assert execution.compilations == {"training autoloss_zero": 1, "training focal": 1}


def test_the_number_of_trials_compiles_nothing():
    execution = make("vmap", lanes=2)

    def run(count):
        assert len(list(execution.run([trial(CROSS_ENTROPY, start=seed) for seed in range(count)]))) == count

    run(3)
    with counted() as compiled:
        for count in (1, 2, 5):
            run(count)
    assert not compiled
    assert execution.compilations == {"training autoloss_zero": 1}
    execution.close()


def test_lanes_that_met_nan_take_the_next_trials():
    """With NaN at once in all but one of them, a list costs hardly more steps than its longest training."""
    execution = make("vmap", lanes=3)
    lanes = execution.lane_training(SPACE)
    blocks, advance = [], lanes.advance
    lanes.advance = lambda *arguments: blocks.append(arguments[-1]) or advance(*arguments)
    found = outcomes(execution, [trial(CROSS_ENTROPY), *[trial(NAN_AT_ONCE)] * 8])
    assert [one.steps for one in found] == [NUM_STEPS] + [0] * 8
    assert sum(blocks) == NUM_STEPS


@needs_devices
@pytest.mark.parametrize("dispatch", ["whole", "steps"])
def test_a_batch_on_two_devices_agrees_with_one(dispatch):
    trials = [trial(text, start=1) for text in TEXTS]
    execution = make("data_parallel", dispatch=dispatch)
    assert_agree(outcomes(make("serial"), trials), outcomes(execution, trials))
    assert execution.compilations == {"training autoloss_zero": 1}


@needs_devices
def test_a_batch_that_cannot_be_divided_is_an_error():
    with pytest.raises(UserError, match="divides a batch over 2 devices, but the batch has 15 examples"):
        make("data_parallel", settings=TrainingSettings(batch_size=15))


ALL_MODES = [*POPULATIONS, pytest.param("data_parallel", marks=needs_devices)]
ADAM = TrainingSettings(batch_size=10, num_epochs=1, loss_scale="unit_gradient", optimiser="adam", warmup_epochs=0.5)
FEW_STEPS = TrainingSettings(batch_size=16, num_epochs=1)


def scaled_trials():
    """The last one has no finite gradient that could be scaled."""
    return [Trial(FOCAL, {"gamma": np.float32(gamma)}, 0.05, 0, 0, SEARCH_EVAL, keep_end=True) for gamma in (1, 2, np.nan)]


@pytest.fixture(scope="module")
def scaled_expected():
    return outcomes(make("serial", settings=ADAM), scaled_trials())


@pytest.mark.parametrize("mode", ALL_MODES)
def test_the_scale_of_a_loss_is_taken_away_in_every_mode(scaled_expected, mode):
    assert [one.finite for one in scaled_expected] == [True, True, False]
    assert_agree(scaled_expected, outcomes(make(mode, settings=ADAM), scaled_trials()))


@pytest.fixture(scope="module")
def images():
    """Digits with random crops and a small network: native convolutions, BatchNorm."""
    model = "tests.execution.trainings:NormalisedCNN"
    limits = {"train_limit": 64, "search_eval_limit": 40, "test_limit": 40}
    return make_classification(ClassificationSettings("digits", model=model, augmentation="crop_flip", **limits))


def image_trials():
    encoded = [FOCAL.encode({"gamma": gamma}) for gamma in (1.0, 2.0, 0.5)]
    return [Trial(FOCAL, of, 0.05, seed, 0, SEARCH_EVAL, keep_end=True) for seed, of in enumerate(encoded)]


@pytest.fixture(scope="module")
def images_expected(images):
    return outcomes(make("serial", images, FEW_STEPS), image_trials())


# On several devices it takes as long again, and they agree on a smaller network above.
@pytest.mark.parametrize(
    "mode", [pytest.param("vmap", marks=pytest.mark.slow), pytest.param("pmap", marks=[needs_devices, pytest.mark.slow])]
)
def test_a_network_of_images_agrees_in_every_population(images, images_expected, mode):
    """Batches, augmentation and the running statistics of BatchNorm are those of a single training."""
    assert images_expected[0].steps == 4
    assert "batch_stats" in images_expected[0].end.variables
    assert_agree(images_expected, outcomes(make(mode, images, FEW_STEPS, lanes=2), image_trials()), tolerance=1e-3)


def trained_on_halves(task, trial):
    """Written down plainly, on one device: each half of a batch is normalised by itself, losses and statistics are averaged."""
    training, train = Training(task, trial.family, FEW_STEPS), task.data[TRAIN]

    @jax.jit
    def step(state, params, statistics, velocity):
        batch, key = training.batch(state, train)
        halves = jax.tree.map(lambda leaf: leaf.reshape(2, 8, *leaf.shape[1:]), batch)

        def loss_of_half(params, half):
            inputs, variables = task.forward({"params": params, "batch_stats": statistics}, half, key)
            return trial.family.loss(trial.encoded, inputs), variables["batch_stats"]

        def loss_of(params):
            losses, updated = jax.vmap(loss_of_half, (None, 0))(params, halves)
            return losses.mean(), jax.tree.map(lambda leaf: leaf.mean(axis=0), updated)

        gradients, statistics = jax.grad(loss_of, has_aux=True)(params)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradients)
        rate = trial.learning_rate * 0.5 * (1 + jnp.cos(jnp.pi * state.step / 4))
        return jax.tree.map(lambda p, v: p - rate * v, params, velocity), statistics, velocity

    state = training.preparation.begin(jax.random.key(trial.start), train)
    params, statistics = state.variables["params"], state.variables["batch_stats"]
    velocity = jax.tree.map(jnp.zeros_like, params)
    for number in range(4):
        state = dataclasses.replace(state, step=jnp.int32(number))
        params, statistics, velocity = step(state, params, statistics, velocity)
    return {"params": params, "batch_stats": statistics}


@pytest.mark.slow
@needs_devices
def test_batch_norm_on_two_devices_is_that_of_the_halves_of_a_batch(images, images_expected):
    """Each device normalises its own share, so that the steps are not those of one device; the devices stay equal."""
    trial = image_trials()[1]
    execution = make("data_parallel", images, FEW_STEPS)
    train = execution.data(0)[TRAIN]
    state = execution.training(FOCAL).trained(trial.encoded, trial.learning_rate, trial.start, train)
    expected = trained_on_halves(images, trial)
    for leaf, wanted in zip(jax.tree.leaves(state.variables), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(leaf[0], leaf[1])
        np.testing.assert_allclose(leaf[0], wanted, rtol=1e-3, atol=1e-4)
    # What is kept and scored is what the devices agree on.
    (outcome,) = outcomes(execution, [trial])
    chex.assert_trees_all_equal(outcome.end.variables, jax.tree.map(lambda leaf: leaf[0], state.variables))
    assert outcome.steps == 4
    one_device = images_expected[1].end.variables["batch_stats"]
    assert any(
        not np.allclose(leaf, of_one, rtol=1e-2)
        for leaf, of_one in zip(jax.tree.leaves(outcome.end.variables["batch_stats"]), jax.tree.leaves(one_device), strict=True)
    )
