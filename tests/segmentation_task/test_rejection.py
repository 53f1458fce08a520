"""The problem of the rejection protocol: what passes, what does not, and which samples it is made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss.core.errors import UserError
from jaxloss.core.problem import PREDICTIONS
from jaxloss.filters.population import make_population
from jaxloss.filters.rejection import RejectionProtocol
from jaxloss.filters.settings import RejectionSettings
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.registry import METRICS
from jaxloss.tasks.metrics.segmentation.streaming import SegmentationMetrics
from jaxloss.tasks.segmentation.inputs import BRANCH
from tests.segmentation_task.scenes import make, scenes, write

SPACE = jaxloss.make_space("autoloss_zero", branches=(BRANCH,))
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"
EASY = {"context": {"rejection_minimum_gain": 0.2}}
NONSENSE = ("Mul(target, Log(prediction))", "Square(prediction)")


def problem_of(task, num_samples=2, seed=1):
    variables = jax.jit(task.init)(jax.random.key(0))
    return task.problems[PREDICTIONS](variables, task.data[TRAIN], jax.random.key(seed), num_samples)[BRANCH]


def verdicts(problem, gain):
    settings = RejectionSettings(num_samples=2, iterations=60, learning_rate=0.01, minimum_gain=gain)
    (branch,) = SPACE.branches
    population = make_population(problem, branch.form.program, "blocks", True, 4, 2**26)
    protocol = RejectionProtocol(problem, population, settings)
    return protocol([SPACE.parse(text)[BRANCH] for text in (CROSS_ENTROPY, *NONSENSE)])


FAST = ("mean_iou", "mean_accuracy", "boundary_f1")


@pytest.mark.parametrize("metric", [one if one in FAST else pytest.param(one, marks=pytest.mark.slow) for one in METRICS])
def test_the_metric_is_the_one_that_is_searched(folder, metric):
    """Of the true classes it is 1, of the predictions it is that of each sample by itself."""
    task = make(folder, metric=metric, void="ignored", **EASY)
    problem = problem_of(task)
    judged = problem.context["judged"]
    np.testing.assert_allclose(problem.metrics(jax.nn.one_hot(judged.classes, 3)), 1, rtol=1e-6)
    metrics = SegmentationMetrics(3, (metric,), BoundaryRule(1, 1, "ignored"))
    for sample in range(2):
        one = metrics.prepare(jnp.where(judged.valid, judged.classes, 255)[sample : sample + 1])
        state = metrics.update(metrics.start(), problem.start[sample : sample + 1], one)
        assert metrics.compute(state)[metric] == problem.metrics(problem.start)[sample]


# At edges alone the rest of the map, which nothing is said of, keeps its boundaries: no loss of single positions gains much.
@pytest.mark.parametrize(("metric", "gain"), [("mean_iou", 0.6), pytest.param("boundary_f1", 0.03, marks=pytest.mark.slow)])
def test_cross_entropy_passes_and_nonsense_does_not(folder, metric, gain):
    task = make(folder, metric=metric, image_size=(12, 16), **EASY)
    found = verdicts(problem_of(task), gain)
    assert found["reason"][0] == 0
    assert (found["reason"][1:] > 0).all()
    assert found["gain"][0] > gain > 0.01 > found["gain"][1:].max()


def test_the_start_is_what_the_untrained_network_predicts_in_training(task):
    problem = problem_of(task)
    assert problem.start.shape == (2, 24, 32, 3)
    np.testing.assert_allclose(problem.start.sum(-1), 1, rtol=1e-5)
    inputs = problem.inputs(problem.start, problem.context)
    np.testing.assert_array_equal(inputs.mask[..., 0], problem.context["judged"].valid)
    assert not inputs.mask[:, -3:].any()


def test_logits_may_be_optimised_in_place_of_probabilities(folder):
    task = make(folder, context={"rejection_variable": "logits"})
    problem, other = problem_of(task), problem_of(make(folder))
    arrays = problem.inputs(problem.start, problem.context).arrays
    np.testing.assert_array_equal(arrays["logits"], problem.start)
    np.testing.assert_allclose(arrays["prediction"], other.start, rtol=1e-5)


def test_samples_are_of_the_size_of_the_training(folder):
    task = make(folder, augmentation="scale_crop_flip", augmentation_options={"crop_size": [12, 20]})
    assert problem_of(task).start.shape == (2, 12, 20, 3)
    assert task.details["training_size"] == [12, 20]


def test_a_window_of_each_sample_may_be_optimised(folder):
    """It is cut from predictions and labels alike: what the network says of the whole image, at the same place."""
    whole, part = (problem_of(make(folder, rejection_window=one)) for one in ((0, 0), (10, 14)))
    assert part.start.shape == (2, 10, 14, 3)

    def places(sample):
        """Where a window of the whole has the same predictions."""
        for top, left in np.ndindex(15, 19):
            window = (slice(top, top + 10), slice(left, left + 14))
            if np.allclose(whole.start[sample][window], part.start[sample], atol=1e-6):
                yield window

    for sample in range(2):
        (window,) = places(sample)
        np.testing.assert_array_equal(whole.context["target"][sample][window], part.context["target"][sample])
        np.testing.assert_array_equal(whole.context["mask"][sample][window], part.context["mask"][sample])


def test_images_in_which_the_metric_finds_nothing_are_passed_over(tmp_path):
    """All but three of the images are one class, without any boundary."""
    _, masks = scenes()
    masks[3:] = 0
    task = make(write(tmp_path, labels=masks), metric="boundary_f1", fractions=(0.8, 0.1, 0.1), **EASY)
    with_boundary = int((np.asarray(task.data[TRAIN]["mask"]) > 0).any((1, 2)).sum())
    assert 0 < with_boundary <= 3
    problem = problem_of(task, with_boundary)
    assert np.asarray(problem.context["judged"].edges).any((1, 2)).all()
    with pytest.raises(UserError, match=f"only {with_boundary} of 10 training images have something that the metric boundary_f1"):
        problem_of(task, with_boundary + 1)
    with pytest.raises(UserError, match="num_samples is 11, but there are 10 training images"):
        problem_of(task, 11)
