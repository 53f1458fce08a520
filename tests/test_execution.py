"""All ways of carrying trainings out agree: serial, a population on one device and on several, a batch on several."""

import dataclasses
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.cli.progress import ConsoleProgress
from jaxloss.config import MAY_CHANGE
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.core.errors import UserError
from jaxloss.execution import choice, measure
from jaxloss.execution.base import Trial
from jaxloss.execution.choice import ExecutionFactory, Parallelism, choose, derived_lanes
from jaxloss.execution.data_parallel import DataParallelExecution
from jaxloss.execution.population import PopulationExecution
from jaxloss.execution.serial import SerialExecution
from jaxloss.runs import RunDirectory
from jaxloss.spaces.families import family
from jaxloss.study.experiment import Experiment
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN
from jaxloss.tasks.classification import make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training
from tests.compilations import counted

TASK = make_fast(FastSettings(size=40))
SPACE = autoloss_zero()
FOCAL = family("focal")
SETTINGS = TrainingSettings(batch_size=10, num_epochs=5)
NUM_STEPS = 20
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"
# Finite at first; the prediction grows until its exponential overflows.
EXPLODES = "Mul(target, Neg(Exp(Exp(Mul(prediction, 5)))))"
NAN_AT_ONCE = "Exp(Exp(Exp(Exp(Exp(Exp(Add(prediction, target)))))))"
TEXTS = (
    CROSS_ENTROPY,
    EXPLODES,
    "Square(Add(prediction, Neg(target)))",
    NAN_AT_ONCE,
    "Neg(Log(Mul(target, Mean_nhw(prediction))))",
)

needs_devices = pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")


def trial(text, rate=0.2, start=0, division=0, evaluate_on=SEARCH_EVAL, num_steps=None):
    return Trial(SPACE, SPACE.encode(SPACE.parse(text)), rate, start, division, evaluate_on, num_steps, keep_end=True)


def outcomes(execution, trials):
    try:
        return [outcome for outcome, _ in execution.run(trials)]
    finally:
        execution.close()


def make(mode, task=TASK, settings=SETTINGS, lanes=3, **options):
    """An execution; on two devices where there are several."""
    if mode == "serial":
        return SerialExecution(task, settings, **options)
    if mode == "data_parallel":
        return DataParallelExecution(task, settings, num_devices=2, **options)
    return PopulationExecution(task, settings, lanes, num_devices=2 if mode == "pmap" else 1, **options)


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


@pytest.mark.parametrize("dispatch", ["whole", "steps"])
@pytest.mark.parametrize("mode", POPULATIONS)
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
    """Digits with random crops and a small residual network: native convolutions, BatchNorm."""
    options = {"depth": 8, "features": (2, 2, 4), "convolution": "native"}
    limits = {"train_limit": 64, "search_eval_limit": 40, "test_limit": 40}
    return make_classification(
        ClassificationSettings("digits", model="resnet20", model_options=options, augmentation="crop_flip", **limits)
    )


def image_trials():
    encoded = [FOCAL.encode({"gamma": gamma}) for gamma in (1.0, 2.0, 0.5)]
    return [Trial(FOCAL, of, 0.05, seed, 0, SEARCH_EVAL, keep_end=True) for seed, of in enumerate(encoded)]


@pytest.fixture(scope="module")
def images_expected(images):
    return outcomes(make("serial", images, FEW_STEPS), image_trials())


@pytest.mark.parametrize("mode", POPULATIONS)
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


# --- the choice --------------------------------------------------------------------------------------------------------------


def examples():
    return [trial(text) for text in TEXTS]


def chosen(mode, lanes=0, most_lanes=None):
    return choose(mode, lanes, most_lanes, examples(), ExecutionFactory(TASK, SETTINGS))


def test_automatic_choices(monkeypatch):
    assert chosen("auto")[0] == Parallelism("serial")
    assert chosen("vmap", lanes=7)[0] == Parallelism("vmap", 7)
    assert chosen("vmap", most_lanes=2)[0] == Parallelism("vmap", 2)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for devices, mode in ((1, "vmap"), (2, "pmap")):
        monkeypatch.setattr(jax, "local_device_count", lambda count=devices: count)
        assert chosen("auto", lanes=5)[0] == Parallelism(mode, 5)


@pytest.mark.parametrize("mode", ["pmap", "data_parallel"])
def test_one_device_is_not_several(monkeypatch, mode):
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    with pytest.raises(UserError, match=f"execution.mode={mode} needs several devices, and there is one"):
        chosen(mode)


def lanes_within(monkeypatch, budget, needed, most=1000):
    """The lanes that are chosen where `needed(lanes)` bytes are taken, beside the data, and how many were compiled for."""
    compiled = []

    def memory(self, trial):
        compiled.append(self.lanes)
        return self.data_bytes(trial.division) + needed(self.lanes)

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(PopulationExecution, "memory", memory)
    monkeypatch.setattr(choice, "memory_budget", lambda: budget)
    return derived_lanes(most, trial(CROSS_ENTROPY), ExecutionFactory(TASK, SETTINGS)), compiled


@pytest.mark.parametrize(
    ("budget", "needed", "most", "lanes", "compiled"),
    [
        (20_000, lambda lanes: 1000 * lanes, 1000, 16, [4, 16, 32]),
        (10**12, lambda lanes: 1000 * lanes, 1000, choice.MOST_LANES, [4, choice.MOST_LANES]),
        (10**12, lambda lanes: 1000 * lanes, 12, 12, [4, 12]),
        (10, lambda lanes: 1000 * lanes, 1000, 1, [4, 2]),
        # It grows faster than from the first few lanes on: the extrapolated 64 would not fit, nor would 32.
        (64_000, lambda lanes: 250 * lanes**2, 1000, 16, [4, 64, 32, 16]),
        (100_000, lambda lanes: 1000 * lanes + 60_000 * (lanes > 40), 50, 32, [4, 50, 32]),
        # A part that all lanes share makes few of them look dear.
        (50_000, lambda lanes: 30_000 + 1000 * lanes, 1000, 16, [4, 8, 16, 32]),
    ],
)
def test_the_largest_population_that_fits_is_found(monkeypatch, budget, needed, most, lanes, compiled):
    assert lanes_within(monkeypatch, budget, needed, most) == (lanes, compiled)


def test_the_memory_of_a_population_is_that_of_its_compiled_step(monkeypatch):
    """With just what eight lanes take, eight are chosen."""
    example = Trial(FOCAL, FOCAL.encode({"gamma": 1.0}), 0.3, 0, 0, SEARCH_EVAL)
    eight = make("vmap", lanes=8)
    budget = eight.memory(example) - eight.data_bytes(0)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(choice, "memory_budget", lambda: budget)
    assert derived_lanes(16, example, ExecutionFactory(TASK, SETTINGS)) == 8
    assert not eight.compilations["training focal"]


def test_a_measurement_looks_at_every_possible_mode():
    examples = [Trial(FOCAL, FOCAL.encode({"gamma": gamma}), 0.2, 0, 0, SEARCH_EVAL) for gamma in (1.0, 2.0)]
    parallelism, seconds = choose("measure", 0, None, examples, ExecutionFactory(TASK, SETTINGS))
    several = {"pmap", "data_parallel"} if jax.device_count() > 1 else set()
    assert set(seconds) >= {"serial", "vmap"} | several - {"data_parallel"}
    assert parallelism.mode == min(seconds, key=seconds.get)
    # A step of this tiny training takes microseconds; less was not seen, but taken for the scatter of a call.
    assert all(1e-7 < value < 1 for value in seconds.values())


class Clockwork:
    """An execution whose every call takes so many seconds beyond a start that scatters."""

    at_once = 1

    def __init__(self, step_seconds, most_steps):
        self.step_seconds, self.most_steps = step_seconds, most_steps
        self.now, self.scatter = 0.0, itertools.cycle([0.010, 0.003, 0.0032, 0.0029, 0.0031])

    def first_steps(self, trials, num_steps):
        steps = min(num_steps, self.most_steps)
        self.now += next(self.scatter) + steps * self.step_seconds
        return steps


@pytest.mark.parametrize(("step_seconds", "most_steps"), [(1e-2, 100), (1e-5, 10**6), (1e-6, 50)])
def test_no_mode_is_infinitely_fast(monkeypatch, step_seconds, most_steps):
    """Steps that drown in the scatter of a start are taken more often; where there are no more, the start counts as steps."""
    clockwork = Clockwork(step_seconds, most_steps)
    monkeypatch.setattr(measure.time, "perf_counter", lambda: clockwork.now)
    found = measure.measure(clockwork, [None], 20).step_seconds
    if most_steps > 50:
        assert found == pytest.approx(step_seconds, rel=0.1)
    else:
        assert found == pytest.approx(0.003 / 50, rel=0.2)


# --- in a run ----------------------------------------------------------------------------------------------------------------


def opened(tmp_path, mode):
    config = load_config("tests/configs/tiny.py")
    config.execution.mode, config.execution.lanes = mode, 2
    with RunDirectory.open(tmp_path / "run", config.to_dict(), MAY_CHANGE) as run:
        experiment = Experiment(make_plan(config), run, ConsoleProgress(quiet=True))
        experiment.close()
        return experiment.parallelism


def test_what_was_measured_is_pinned_in_the_run(tmp_path, monkeypatch):
    measured = iter([{"serial": 2.0, "vmap": 1.0}, {"serial": 1.0, "vmap": 2.0}])
    monkeypatch.setattr(choice, "_measured", lambda *_: next(measured))
    assert opened(tmp_path, "measure") == opened(tmp_path, "measure") == Parallelism("vmap", 2)
    # Nothing was trained yet, so that the config may still change.
    assert opened(tmp_path, "auto") == Parallelism("serial")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert opened(tmp_path, "auto") == Parallelism("serial")
