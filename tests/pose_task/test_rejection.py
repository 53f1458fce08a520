"""The rejection problem: single keypoints, what they are worth, and that good losses pass and bad ones do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss.core.problem import PREDICTIONS
from jaxloss.filters.population import make_population
from jaxloss.filters.rejection import REASONS, RejectionProtocol
from jaxloss.filters.settings import RejectionSettings
from jaxloss.systems.autoloss_zero.published import AUTOLOSS_ZERO_FORMULAS
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.pose.decoding import decode
from tests.errors import user_error
from tests.pose_task.puppets import make

SAMPLES = 5
SETTINGS = RejectionSettings(iterations=300, num_samples=SAMPLES)


@pytest.fixture(scope="module")
def variables(task):
    return jax.jit(task.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def problem(task, variables):
    return task.problems[PREDICTIONS](variables, task.data[TRAIN], jax.random.key(1), SAMPLES)["heatmap"]


def test_a_sample_is_a_visible_keypoint(task, problem):
    assert problem.start.shape == (SAMPLES, *task.details["map_shape"], 1)
    assert problem.context["counted"].all()
    places = np.asarray(task.data[TRAIN]["keypoints"])[np.asarray(task.data[TRAIN]["visible"])]
    assert all((np.abs(places - place).sum(axis=1) < 1e-5).any() for place in np.asarray(problem.context["place"]))


def test_right_maps_are_worth_one_and_the_untrained_network_nearly_nothing(problem):
    inputs = problem.inputs(problem.start, problem.context)
    assert problem.metrics(problem.start).mean() <= 0.3
    np.testing.assert_allclose(problem.metrics(inputs.arrays["target"]), 1)


def test_the_metric_is_that_of_the_keypoint(task, folder, variables, problem):
    other = make(folder, metric="oks", oks_sigmas=0.2)
    own = other.problems[PREDICTIONS](variables, other.data[TRAIN], jax.random.key(1), SAMPLES)["heatmap"]
    found = decode(own.start, other.details["stride"])[0][:, 0]
    squared = ((found - own.context["place"]) ** 2).sum(axis=-1)
    np.testing.assert_allclose(own.metrics(own.start), np.exp(-squared / own.context["spread"]), rtol=1e-5)


def test_losses_that_learn_keypoints_pass_and_others_do_not(problem):
    form = jaxloss.make_space("autoloss_zero", branches=("heatmap",)).branch("heatmap").form
    formulas = ["Square(Add(prediction, Neg(target)))", AUTOLOSS_ZERO_FORMULAS["autoloss_zero_pose"]]
    formulas += ["Square(Add(prediction, target))", "Mul(prediction, target)"]
    population = make_population(problem, form.program, "blocks", True, 8, 10**8)
    found = RejectionProtocol(problem, population, SETTINGS)([form.parse(text) for text in formulas])
    reasons = [None if not code else REASONS[code - 1].label for code in found["reason"]]
    assert reasons == [None, None, "no_metric_gain", "no_metric_gain"]
    assert found["gain"][0] > 0.6


def test_images_without_a_keypoint_are_not_drawn(task, variables):
    data = task.data[TRAIN]
    few = {**data, "visible": data["visible"] & (jnp.arange(len(data["visible"])) < 3)[:, None]}
    count = int(few["visible"].any(axis=1).sum())
    with user_error(f"filters.rejection.num_samples is 4, but there are {count} training images with a visible keypoint"):
        task.problems[PREDICTIONS](variables, few, jax.random.key(1), 4)
