"""The rejection problems of the four branches: good losses solve them, bad ones do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.boxes import overlap
from jaxloss.core.problem import PREDICTIONS
from jaxloss.core.reduce import total_loss
from jaxloss.spaces.families import family
from jaxloss.tasks.base import TRAIN
from tests.errors import user_error
from tests.two_stage_task.scenes import BRANCHES, make

NUM_SAMPLES = 3


@pytest.fixture(scope="module")
def variables(task):
    return jax.jit(task.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def problems(task, variables):
    return task.problems[PREDICTIONS](variables, task.data[TRAIN], jax.random.key(1), NUM_SAMPLES)


def test_they_are_of_the_same_regions_and_hold_what_their_branch_offers(task, problems):
    assert tuple(problems) == BRANCHES
    for branch, problem in problems.items():
        inputs = problem.inputs(problem.start, problem.context)
        assert {*inputs.arrays} <= {*task.offers[branch]}
        assert "logits" not in inputs.arrays
        assert problem.start.shape[:3] == (NUM_SAMPLES, 12, 1)
        np.testing.assert_array_equal(problem.context["regions"].boxes, problems[BRANCHES[0]].context["regions"].boxes)
        assert np.asarray(problem.context["regions"].positive).any(axis=1).all()


def test_the_metric_of_boxes_is_the_share_of_overlaps_that_are_reached(problems):
    problem = problems["rcnn_regression"]
    regions = problem.context["regions"]
    # Deltas of the untrained network are hardly any.
    iou = np.asarray(overlap(regions.boxes, regions.truth).iou)
    for row, found in enumerate(problem.metrics(jnp.zeros_like(problem.start))):
        own = iou[row][np.asarray(regions.positive)[row]]
        wanted = np.mean([np.mean(own >= np.float32(threshold / 100)) for threshold in range(50, 100, 5)])
        assert found == pytest.approx(wanted, abs=1e-5)


def test_right_predictions_have_the_highest_metric_and_wrong_ones_none(problems):
    for branch in ("rpn_classification", "rcnn_classification"):
        problem = problems[branch]
        target = problem.inputs(problem.start, problem.context).arrays["target"]
        np.testing.assert_allclose(problem.metrics(target), 1)
        assert np.all(problem.metrics(1 - target) < 0.7)
    for branch in ("rpn_regression", "rcnn_regression"):
        problem = problems[branch]
        wanted = problem.inputs(problem.start, problem.context).arrays["target_deltas"]
        np.testing.assert_allclose(problem.metrics(wanted), 1)
        np.testing.assert_allclose(problem.metrics(wanted + 50), 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("branch", "name", "rate"),
    [
        ("rpn_classification", "cross_entropy", 0.003),
        ("rcnn_classification", "cross_entropy", 0.003),
        ("rpn_regression", "giou", 0.003),
        ("rcnn_regression", "delta_l1", 0.03),
    ],
)
def test_gradient_descent_on_a_good_loss_raises_the_metric(problems, branch, name, rate):
    problem, loss = problems[branch], family(name)

    def value(variable, sign):
        inputs = problem.inputs(variable, problem.context)
        if name == "cross_entropy":
            # Of probabilities, which a hand-crafted loss does not read.
            values = -inputs.arrays["target"] * jnp.log(jnp.maximum(inputs.arrays["prediction"], 1e-6))
        else:
            values = loss.values(inputs)
        return sign * total_loss(values, inputs)

    @jax.jit
    def optimised(sign):
        step = lambda _, variable: variable - rate * jax.grad(value)(variable, sign)  # noqa: E731
        return problem.metrics(jax.lax.fori_loop(0, 200, step, problem.start))

    before = problem.metrics(problem.start)
    assert np.mean(optimised(1.0)) > np.mean(before) + 0.25
    assert np.mean(optimised(-1.0)) <= np.mean(before)


@pytest.mark.slow
def test_where_logits_are_optimised_losses_may_read_them(folder):
    task = make(folder, context={"rejection_variable": "logits"})
    variables = jax.jit(task.init)(jax.random.key(0))
    for branch, problem in task.problems[PREDICTIONS](variables, task.data[TRAIN], jax.random.key(1), 2).items():
        if "classification" in branch:
            inputs = problem.inputs(problem.start, problem.context)
            assert {*inputs.arrays} == {"prediction", "target", "logits", "overlap"}
            np.testing.assert_allclose(inputs.arrays["prediction"], jax.nn.softmax(problem.start), rtol=1e-6)


def test_more_samples_than_images_with_objects_are_refused(task, variables):
    with user_error("filters.rejection.num_samples is 30, but there are 7 training images with objects"):
        task.problems[PREDICTIONS](variables, task.data[TRAIN], jax.random.key(1), 30)
