"""The classification task."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxloss.core.errors import UserError
from jaxloss.core.problem import PREDICTIONS, RejectionProblem, batch_of_one
from jaxloss.tasks.base import SPLITS
from jaxloss.tasks.classification import BRANCH, make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.metrics.classification import correct
from jaxloss.tasks.metrics.headroom import draw_with_headroom, initial_metric
from jaxloss.tasks.models.registry import make_model
from tests.noisy_digits import digits, digits_variables


@pytest.fixture
def colours(tmp_path):
    """Three classes of uint8 8x8 images, told apart by their channel."""
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = generator.integers(0, 100, (60, 8, 8, 3)).astype(np.uint8)
    images[np.arange(60), :, :, labels] += 100
    np.savez(tmp_path / "colours.npz", train_images=images, train_labels=labels)
    return f"npz:{tmp_path / 'colours.npz'}"


COLOURS_NETWORK = {"model": "small_cnn", "model_options": {"features": (4,)}}


@functools.cache
def colours_variables():
    """The same for both kinds of convolution."""
    network = make_model("small_cnn", 3, COLOURS_NETWORK["model_options"])
    return jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))


def first(examples, count):
    return jax.tree.map(lambda array: array[:count], examples)


def test_contract():
    task, variables = digits(), digits_variables()
    assert task.name == "digits 40% symmetric noise"
    assert set(task.data) == set(SPLITS)
    batch = first(task.data["train"], 7)
    branches, updated = jax.jit(task.forward)(variables, batch, jax.random.key(1))
    assert branches.keys() == task.offers.keys() == {BRANCH}
    inputs = branches[BRANCH]
    assert set(inputs.arrays) == set(task.offers[BRANCH])
    assert {array.shape for array in inputs.arrays.values()} == {(7, 1, 1, 10)}
    frequencies = np.bincount(task.data["train"]["label"], minlength=10) / len(task.data["train"]["label"])
    np.testing.assert_allclose(inputs.arrays["prior"][:, 0, 0], np.tile(frequencies, (7, 1)), rtol=1e-6)
    assert inputs.mask.shape == inputs.weights.shape == (7, 1, 1, 1)
    assert inputs.mask.all()
    np.testing.assert_allclose(inputs.arrays["prediction"].sum(axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(jax.nn.softmax(inputs.arrays["logits"]), inputs.arrays["prediction"], rtol=1e-6)
    np.testing.assert_array_equal(inputs.arrays["target"].argmax(axis=-1)[:, 0, 0], batch["label"])
    chex.assert_trees_all_equal(updated, variables)
    assert task.details["num_parameters"] == 64 * 16 + 16 + 16 * 10 + 10
    assert [task.details[f"num_{name}"] for name in SPLITS] == [len(task.data[name]["label"]) for name in SPLITS]


def test_only_training_labels_are_noisy():
    noisy, clean = digits(), make_classification(ClassificationSettings("digits", model_options={"features": (16,)}))
    wrong = (noisy.data["train"]["label"] != clean.data["train"]["label"]).mean()
    assert 0.3 < wrong < 0.42
    assert noisy.details["wrong_train_labels"] == round(float(wrong) * len(noisy.data["train"]["label"]))
    for name in ("search_eval", "test"):
        chex.assert_trees_all_equal(noisy.data[name], clean.data[name])


def test_with_division_changes_the_data_and_compiles_nothing():
    task, variables = digits(), digits_variables()
    other, again = task.with_division(7), task.with_division(0)
    assert other.forward is task.forward
    assert other.scores is task.scores
    assert other.problems[PREDICTIONS] is task.problems[PREDICTIONS]
    assert jax.tree.map(jnp.shape, other.data) == jax.tree.map(jnp.shape, task.data)
    for name in ("train", "search_eval"):
        assert (other.data[name]["label"] != task.data[name]["label"]).any()
    # No division may train or search on what another one tests on.
    tests = [sorted(image.tobytes() for image in np.asarray(each.data["test"]["image"])) for each in (task, other)]
    assert tests[0] == tests[1]
    chex.assert_trees_all_equal(again.data, task.data)
    traces = []

    @jax.jit
    def scores(variables, examples):
        traces.append(1)
        return task.scores(variables, examples)

    assert scores(variables, task.data["search_eval"]) != scores(variables, other.data["search_eval"])
    assert len(traces) == 1


def test_every_split_draws_noise_of_its_own():
    task = make_classification(ClassificationSettings("digits", noise_kind="symmetric", noise_rate=1.0))
    labels = [task.with_division(seed).data["train"]["label"] for seed in (1, 2)]
    # Wholly random labels know nothing of the division: with the same noise they would be equal.
    assert (labels[0] == labels[1]).mean() < 0.2


@pytest.mark.parametrize("convolution", ["native", "patches"])
def test_scores_in_chunks_equal_scores_at_once(colours, convolution):
    options = {**COLOURS_NETWORK["model_options"], "convolution": convolution}
    settings = {**COLOURS_NETWORK, "model_options": options, "pixel_mean": (0.4, 0.4, 0.4), "pixel_deviation": 0.2}
    whole, chunked = (
        make_classification(ClassificationSettings(colours, evaluation_batch=size, **settings)) for size in (500, 5)
    )
    assert whole.native_convolution == (convolution == "native")
    assert whole.data["train"]["image"].dtype == jnp.uint8
    assert len(whole.data["test"]["label"]) == 18
    variables = colours_variables()
    examples = whole.data["test"]
    branches, _ = whole.forward(variables, examples, jax.random.key(0))
    expected = correct(branches[BRANCH].arrays["logits"][:, 0, 0], examples["label"]).mean()
    assert 0 < expected < 1
    for task in (whole, chunked):
        got = jax.jit(task.scores)(variables, examples)
        np.testing.assert_allclose(got["accuracy"], expected, rtol=1e-6)
        np.testing.assert_allclose(got["mean_class_accuracy"], expected, rtol=1e-6)  # the classes are of equal size


def test_learns_with_batch_norm_and_augmentation(colours):
    options = {"features": (2, 2, 2), "depth": 8}
    task = make_classification(
        ClassificationSettings(colours, model="resnet20", model_options=options, augmentation="crop_flip", pixel_mean=0.4)
    )
    optimiser = optax.adam(0.02)

    def loss(parameters, variables, batch, key):
        branches, updated = task.forward({**variables, "params": parameters}, batch, key)
        arrays = branches[BRANCH].arrays
        return optax.softmax_cross_entropy(arrays["logits"], arrays["target"]).mean(), updated

    @jax.jit
    def step(variables, state, key):
        batch = task.augment(task.data["train"], key)
        gradient, updated = jax.grad(loss, has_aux=True)(variables["params"], variables, batch, key)
        changes, state = optimiser.update(gradient, state)
        return {**updated, "params": optax.apply_updates(variables["params"], changes)}, state

    start = variables = jax.jit(task.init)(jax.random.key(0))
    state = optimiser.init(variables["params"])
    for key in jax.random.split(jax.random.key(1), 60):
        variables, state = step(variables, state, key)
    assert jax.tree.structure(start) == jax.tree.structure(variables)
    assert jax.jit(task.scores)(variables, task.data["test"])["accuracy"] > 0.8


@pytest.mark.parametrize("variable", ["probability", "logits"])
def test_rejection_problem(variable):
    task = make_classification(
        ClassificationSettings("digits", model_options={"features": (16,)}), TaskContext(rejection_variable=variable)
    )
    variables = jax.jit(task.init)(jax.random.key(0))
    problem = task.problems[PREDICTIONS](variables, task.data["train"], jax.random.key(0), 5)[BRANCH]
    assert problem.start.shape == (5, 1, 1, 10)
    assert initial_metric(problem) <= 0.3
    assert {leaf.shape[0] for leaf in jax.tree.leaves(problem.context)} == {5}
    joint = problem.inputs(problem.start, problem.context)
    single = jax.vmap(lambda start, context: problem.inputs(start[None], batch_of_one(context)))(problem.start, problem.context)
    assert joint.arrays.keys() == {"prediction", "target", "prior"} | ({"logits"} if variable == "logits" else set())
    for name, array in joint.arrays.items():
        assert array.shape == (5, 1, 1, 10)
        np.testing.assert_allclose(array, single.arrays[name][:, 0], rtol=1e-6)
    np.testing.assert_allclose(joint.arrays["prediction"].sum(axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(joint.arrays["target"].argmax(axis=-1).ravel(), problem.context["label"])
    # Moving the variable to the target is right, away from it wrong, whatever its scale.
    targets = problem.context["target"]
    np.testing.assert_array_equal(problem.metrics(3.0 * targets), 1.0)
    np.testing.assert_array_equal(problem.metrics(-targets), 0.0)
    np.testing.assert_array_equal(problem.metrics(targets * jnp.nan), 0.0)


def test_rejection_start_is_the_prediction_of_the_network():
    task, variables = digits(), digits_variables()
    problem = task.problems[PREDICTIONS](variables, task.data["train"], jax.random.key(4), 6)[BRANCH]
    branches, _ = task.forward(variables, task.data["train"], jax.random.key(0))
    every = np.asarray(branches[BRANCH].arrays["prediction"][:, 0, 0])
    for start, label in zip(np.asarray(problem.start).reshape(6, 10), problem.context["label"], strict=True):
        distance = np.abs(every - start).max(axis=-1)
        assert distance.min() < 1e-6
        assert label == task.data["train"]["label"][distance.argmin()]


def test_headroom_is_drawn_for_or_refused():
    def draw(key):
        """Two classes; each of five samples is right at the start with probability one half."""
        right = jax.random.bernoulli(key, 0.5, (5,))
        return RejectionProblem(
            start=right.astype(jnp.float32)[:, None, None, None],
            context={},
            inputs=lambda variable, context: None,
            metric=lambda variable, context: variable.sum(),
        )

    first_draws = [initial_metric(draw(jax.random.fold_in(jax.random.key(seed), 0))) for seed in range(12)]
    assert max(first_draws) > 0.4, "the test needs draws that are refused"
    for seed in range(12):
        assert initial_metric(draw_with_headroom(draw, jax.random.key(seed), 0.6)) <= 0.41
        assert initial_metric(draw_with_headroom(draw, jax.random.key(seed), 0.6, margin=0.1)) <= 0.21
    two_of_five = dataclasses.replace(draw(jax.random.key(0)), start=jnp.array([1.0, 1, 0, 0, 0])[:, None, None, None])
    assert draw_with_headroom(lambda key: two_of_five, jax.random.key(0), 0.6, attempts=1) is two_of_five
    always_right = dataclasses.replace(draw(jax.random.key(0)), start=jnp.ones((5, 1, 1, 1)))
    with pytest.raises(UserError, match=r"num_samples or lower filters.rejection.minimum_gain") as error:
        draw_with_headroom(lambda key: always_right, jax.random.key(0), 0.6, attempts=3)
    assert "\n" not in str(error.value)
    assert "3 draws of 5 samples" in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "resnet"}, "Did you mean 'resnet20'"),
        ({"augmentation": "flip"}, "Did you mean 'crop_flip'"),
        ({"noise_kind": "symmetric", "noise_rate": 2.0}, "noise_rate must be at most 1"),
        ({"evaluation_batch": 0}, "must be at least 1"),
        ({"division": -1}, "division must be at least 0"),
    ],
)
def test_settings_that_cannot_be(arguments, message):
    with pytest.raises(UserError, match=message) as error:
        make_classification(ClassificationSettings("digits", **arguments))
    assert "\n" not in str(error.value)


def test_more_samples_than_images_is_an_error():
    task, variables = digits(), digits_variables()
    with pytest.raises(UserError, match=r"num_samples is 9, but there are 8"):
        task.problems[PREDICTIONS](variables, first(task.data["train"], 8), jax.random.key(0), 9)
