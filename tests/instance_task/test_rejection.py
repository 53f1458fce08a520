"""The rejection problem of the mask branch: right masks solve it, wrong ones do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.problem import PREDICTIONS
from jaxloss.core.reduce import total_loss
from jaxloss.spaces.families import family
from jaxloss.tasks.base import TRAIN
from tests.instance_task.shapes import BRANCHES, make

NUM_SAMPLES = 3


@pytest.fixture(scope="module")
def problems(folder):
    task = make(folder, context={"rejection_variable": "logits"})
    variables = jax.jit(task.init)(jax.random.key(0))
    return task.problems[PREDICTIONS](variables, task.data[TRAIN], jax.random.key(1), NUM_SAMPLES)


def test_there_is_one_for_every_branch(problems):
    assert tuple(problems) == BRANCHES
    assert problems["mask"].start.shape == (NUM_SAMPLES, 28, 28, 2)


def test_the_metric_is_the_share_of_overlaps_that_a_mask_reaches(problems):
    problem = problems["mask"]
    inside = np.asarray(problem.context["inside"])
    assert inside.any(axis=(1, 2)).all()
    target = problem.inputs(problem.start, problem.context).arrays["target"]
    np.testing.assert_array_equal(target[..., 0], inside)
    np.testing.assert_allclose(problem.metrics(target), 1)
    np.testing.assert_allclose(problem.metrics(1 - target), 0)
    # The left half of the box.
    half = np.zeros_like(inside)
    half[:, :, :14] = True
    iou = (half & inside).sum((1, 2)) / (half | inside).sum((1, 2))
    wanted = [np.mean(one >= np.arange(50, 100, 5) / 100) for one in iou]
    np.testing.assert_allclose(problem.metrics(jnp.stack([half, ~half], axis=-1).astype(float)), wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["cross_entropy", "region_dice"])
def test_gradient_descent_on_a_good_loss_raises_the_metric(problems, name):
    problem, loss = problems["mask"], family(name)

    def value(variable, sign):
        inputs = problem.inputs(variable, problem.context)
        return sign * total_loss(loss.values(inputs), inputs)

    @jax.jit
    def optimised(sign):
        step = lambda _, variable: variable - 0.05 * jax.grad(value)(variable, sign)  # noqa: E731
        return problem.metrics(jax.lax.fori_loop(0, 50, step, problem.start))

    before = problem.metrics(problem.start)
    assert np.mean(optimised(1.0)) > np.mean(before) + 0.25
    assert np.mean(optimised(-1.0)) <= np.mean(before)
