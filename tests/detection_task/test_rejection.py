"""The rejection problems of both branches: what they hold, and that good losses pass and bad ones do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss.core.problem import PREDICTIONS
from jaxloss.filters.population import make_population
from jaxloss.filters.rejection import REASONS, RejectionProtocol
from jaxloss.filters.settings import RejectionSettings
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.check import check_task
from tests.detection_task.cells import make
from tests.errors import user_error

SETTINGS = RejectionSettings(iterations=300, minimum_gain=0.2, num_samples=3)


@pytest.fixture(scope="module")
def variables(task):
    return jax.jit(task.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def problems(task, variables):
    return task.problems[PREDICTIONS](variables, task.data[TRAIN], jax.random.key(1), 3)


@pytest.fixture(scope="module")
def space():
    return jaxloss.make_space(
        "autoloss_zero",
        branches=("classification", "regression"),
        branch_weights=(1.0, 10.0),
        branch_inputs={"regression": ("intersection", "union", "enclosing")},
    )


def verdicts(space, problems, branch, formulas):
    form = space.branch(branch).form
    population = make_population(problems[branch], form.program, "blocks", True, 8, 10**8)
    found = RejectionProtocol(problems[branch], population, SETTINGS)([form.parse(text) for text in formulas])
    return [None if not code else REASONS[code - 1].label for code in found["reason"]], found["gain"]


def test_they_are_those_of_training_images_with_objects(problems):
    classification, regression = problems["classification"], problems["regression"]
    assert classification.start.shape == (3, 12, 1, 2)
    assert regression.start.shape == (3, 12, 1, 4)
    assert (classification.start > 0).all()
    assert (classification.start < 0.5).all()
    assert regression.context["positive"].any(axis=1).all()
    # A ranking needs background.
    assert ((classification.context["labels"] >= 0).sum(axis=1) == 3).all()


def test_right_predictions_are_worth_one(problems):
    for branch, problem in problems.items():
        right = {
            "classification": lambda c: jax.nn.one_hot(c["labels"], 2)[:, :, None],
            "regression": lambda c: c["target_distances"],
        }
        assert problem.metrics(problem.start).mean() < 0.75
        np.testing.assert_allclose(problem.metrics(right[branch](problem.context)), 1, rtol=1e-6)


def test_areas_of_the_start_are_those_of_the_task(problems):
    problem = problems["regression"]
    inputs = problem.inputs(problem.start, problem.context)
    ratio = inputs.arrays["intersection"] / inputs.arrays["union"]
    mean = jnp.sum(jnp.where(inputs.mask, ratio, 0), axis=(1, 2, 3)) / inputs.mask.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(mean, problem.metrics(problem.start), rtol=1e-5)


def test_losses_that_learn_boxes_pass_and_others_do_not(problems, space):
    formulas = ["Neg(Log(Mul(intersection, Inv(union))))", "Log(Mul(intersection, Inv(union)))", "Add(enclosing, intersection)"]
    reasons, gains = verdicts(space, problems, "regression", formulas)
    assert reasons == [None, "no_metric_gain", "no_metric_gain"]
    assert gains[0] > 0.3


def test_losses_that_learn_classes_pass_and_others_do_not(problems, space):
    reasons, gains = verdicts(
        space,
        problems,
        "classification",
        ["Neg(Mul(target, Log(prediction)))", "Mul(target, Log(prediction))", "Square(prediction)"],
    )
    assert reasons == [None, "no_metric_gain", "no_metric_gain"]
    assert gains[0] > 0.3


@pytest.mark.slow
def test_logits_may_be_optimised_in_place_of_probabilities(folder, variables):
    task = make(folder, context={"rejection_variable": "logits"}, rejection_locations=0)
    problem = task.problems[PREDICTIONS](variables, task.data[TRAIN], jax.random.key(1), 2)["classification"]
    inputs = problem.inputs(problem.start, problem.context)
    assert {*inputs.arrays} == {"prediction", "logits", "target", "overlap"}
    np.testing.assert_allclose(inputs.arrays["prediction"], jax.nn.sigmoid(problem.start), rtol=1e-6)
    assert problem.start.shape[1] == task.details["num_locations"]


@pytest.mark.parametrize("variable", ["probability", "logits"])
def test_with_a_softmax_background_is_optimised_too(folder, variable):
    task = make(folder, context={"rejection_variable": variable}, probabilities="softmax")
    variables = jax.eval_shape(task.init, jax.random.key(0))
    shapes = jax.eval_shape(
        lambda v, d: task.problems[PREDICTIONS](v, d, jax.random.key(1), 2)["classification"].start, variables, task.data[TRAIN]
    )
    assert shapes.shape == (2, 12, 1, 3)
    check_task(
        task, batch_size=4, reads={"classification": ("prediction", "target", "overlap"), "regression": ("union",)}, num_samples=2
    )


def test_images_without_objects_are_not_drawn(folder, task, variables):
    data = task.data[TRAIN]
    few = {**data, "valid": data["valid"] & (jnp.arange(len(data["valid"])) < 2)[:, None]}
    with_objects = int((few["valid"] & ~few["crowd"]).any(axis=1).sum())
    task.problems[PREDICTIONS](variables, few, jax.random.key(1), with_objects)
    with user_error(f"filters.rejection.num_samples is 3, but there are {with_objects} training images with objects"):
        task.problems[PREDICTIONS](variables, few, jax.random.key(1), 3)
