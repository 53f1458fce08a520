"""The settings of a training: schedules, the scale of a loss, clipping, weight decay, optimisers."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training
from tests.small_training import NUM_STEPS, SETTINGS, TASK, kernel

SCE = family("sce")


@functools.cache
def sce_training(settings):
    return Training(TASK, SCE, settings)


def trained_sce(scale=1.0, rate=0.3, **settings):
    """A hand-crafted loss, times `scale`: its training compiles in no time."""
    training = sce_training(dataclasses.replace(SETTINGS, **settings))
    hyperparameters = SCE.encode({"alpha": 0.5 * scale, "beta": 0.2 * scale})
    return training.run(hyperparameters, rate, 0, TASK.data, SEARCH_EVAL, keep_end=True)


def first_step_norm(**settings):
    """The norm of what the first step at rate one moves."""
    settings = {"num_epochs": 0.25, "momentum": 0.0, "schedule": "constant", **settings}
    moved, start = trained_sce(rate=1.0, **settings), trained_sce(rate=0.0, **settings)
    assert moved.steps == 1
    leaves = jax.tree.leaves(jax.tree.map(lambda x, y: jnp.sum((x - y) ** 2), moved.end.variables, start.end.variables))
    return float(jnp.sqrt(sum(leaves)))


def test_unit_gradient_takes_the_scale_from_a_loss():
    one, ten = (trained_sce(scale, loss_scale="unit_gradient") for scale in (1, 10))
    np.testing.assert_allclose(kernel(one), kernel(ten), rtol=1e-4, atol=1e-5)
    assert not np.allclose(kernel(trained_sce(1)), kernel(trained_sce(10)), rtol=1e-2)


def test_unit_gradient_makes_the_first_gradient_one():
    assert first_step_norm(loss_scale="unit_gradient") == pytest.approx(1, rel=1e-4)
    assert first_step_norm() != pytest.approx(1, rel=1e-1)


def test_unit_gradient_of_a_loss_without_gradient_is_stopped():
    assert trained_sce(0.0, loss_scale="unit_gradient").score is None


def factors(**settings):
    """The factor of the learning rate at every step of 20, 4 per epoch: what a gradient of one is turned into."""
    optimiser = TrainingSettings(momentum=0.0, batch_size=10, num_epochs=5, **settings).make_optimiser(NUM_STEPS, 4)
    state, found = optimiser.init(jnp.ones(())), []
    for _ in range(NUM_STEPS):
        update, state = optimiser.update(jnp.ones(()), state, jnp.ones(()))
        found.append(float(update))
    return np.array(found)


def test_schedules():
    steps = np.arange(NUM_STEPS)
    np.testing.assert_allclose(factors(schedule="constant"), np.ones(NUM_STEPS))
    np.testing.assert_allclose(factors(schedule="cosine"), 0.5 * (1 + np.cos(np.pi * steps / NUM_STEPS)), atol=1e-6)
    np.testing.assert_allclose(factors(schedule="polynomial"), (1 - steps / NUM_STEPS) ** 0.9, atol=1e-6)


def test_a_schedule_ends_where_it_is_told_to():
    """The rate of Li et al., Appendix A.1: from 0.02 to 0.0001 with power 0.9, and another power."""
    left = 1 - np.arange(NUM_STEPS) / NUM_STEPS
    rates = 0.02 * factors(schedule="polynomial", end_factor=0.005)
    np.testing.assert_allclose(rates, (0.02 - 1e-4) * left**0.9 + 1e-4, rtol=1e-5)
    np.testing.assert_allclose(factors(schedule="polynomial", polynomial_power=2.0), left**2, atol=1e-6)
    cosine = 0.5 * (1 + np.cos(np.pi * (1 - left)))
    np.testing.assert_allclose(factors(schedule="cosine", end_factor=0.25), 0.25 + 0.75 * cosine, atol=1e-6)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_what_is_no_backbone_is_trained_at_a_multiple_of_the_rate(optimiser):
    """Momentum and weight decay are scaled with the rate, as in a parameter group of PyTorch."""
    ones = {"backbone": jnp.ones(2), "rest": jnp.ones(2)}
    found = {}
    for factor in (1.0, 10.0):
        settings = TrainingSettings(optimiser=optimiser, schedule="polynomial", weight_decay=0.1, head_factor=factor)
        made = settings.make_optimiser(10, 1, lambda tree: {"backbone": True, "rest": False})
        state, found[factor] = made.init(ones), []
        for _ in range(3):
            update, state = made.update(ones, state, ones)
            found[factor].append([float(update[name][0]) for name in ("backbone", "rest")])
    np.testing.assert_allclose(found[10.0], np.array(found[1.0]) * [1, 10], rtol=1e-6)


def test_warm_up_starts_at_zero_and_the_schedule_follows():
    found = factors(schedule="polynomial", warmup_epochs=1.0)
    np.testing.assert_allclose(found[:4], [0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(found[4:], (1 - np.arange(16) / 16) ** 0.9, atol=1e-6)


def test_the_first_step_of_a_warm_up_moves_nothing():
    assert first_step_norm(warmup_epochs=0.2) == 0


def test_clipping_bounds_the_step():
    assert first_step_norm(clip_norm=0.01) == pytest.approx(0.01, rel=1e-3)


def test_weight_decay_shrinks_what_has_no_gradient():
    settings = {"scale": 0.0, "num_epochs": 0.25, "schedule": "constant"}
    before, after = trained_sce(**settings), trained_sce(rate=0.5, weight_decay=0.1, **settings)
    np.testing.assert_allclose(kernel(after), 0.95 * kernel(before), rtol=1e-5)


def test_adam_does_not_see_the_scale_of_a_loss():
    one, ten = (trained_sce(scale, rate=0.05, optimiser="adam") for scale in (1, 10))
    np.testing.assert_allclose(kernel(one), kernel(ten), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["optimiser", "schedule", "loss_scale"])
def test_unknown_settings_are_named_with_the_choices(kind):
    with pytest.raises(UserError, match=f"unknown training.{kind} 'wrong'.*Choices"):
        TrainingSettings(**{kind: "wrong"})
