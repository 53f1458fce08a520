"""The Gaussian and REINFORCE: Eq. 19 and 20, Section 4.1."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from jaxloss.systems.am_lfs.reinforce import deviation_of, make_distribution, normalised, score_function
from jaxloss.systems.am_lfs.settings import AMLFSSettings

SETTINGS = AMLFSSettings(num_intervals=3)
DISTRIBUTION = make_distribution(SETTINGS, "classification")


def sampled(state, count, seed=0):
    return DISTRIBUTION.sample(state, np.random.default_rng(seed), count)


def numbers(candidates):
    return np.array([np.ravel(one["classification"]) for one in candidates])


def test_the_mean_begins_at_the_identity():
    assert DISTRIBUTION.numbers(DISTRIBUTION.start()) == {
        "a_t": [1.0] * 3,
        "b_t": [0.0] * 3,
        "a_tau": [1.0] * 3,
        "b_tau": [0.0] * 3,
    }


@pytest.mark.parametrize(("words", "deviation"), [("deviation", 0.2), ("variance", 0.2**0.5)])
def test_draws_are_gaussian_around_the_mean(words, deviation):
    settings = dataclasses.replace(SETTINGS, sigma_is=words)
    assert deviation_of(settings) == pytest.approx(deviation)
    one = make_distribution(settings, "classification")
    drawn = numbers(one.sample(one.start(), np.random.default_rng(0), 4000))
    np.testing.assert_allclose(drawn.mean(axis=0), one.start()["mean"], atol=5 * deviation / 4000**0.5)
    np.testing.assert_allclose(drawn.std(axis=0), deviation, rtol=0.06)


def test_the_gradient_of_the_log_density_is_with_respect_to_the_mean():
    """Against differences of SciPy's density."""
    random = np.random.default_rng(1)
    mean, thetas, step = random.normal(size=4), random.normal(size=(3, 4)), 1e-6
    wanted = [
        [
            (
                stats.multivariate_normal(mean + step * axis, 0.04).logpdf(theta)
                - stats.multivariate_normal(mean - step * axis, 0.04).logpdf(theta)
            )
            / (2 * step)
            for axis in np.eye(4)
        ]
        for theta in thetas
    ]
    np.testing.assert_allclose(score_function(thetas, mean, 0.2), wanted, rtol=1e-6)


def test_rewards_have_zero_mean_and_unit_variance():
    found = normalised(np.array([0.3, 0.9, 0.4, 0.4]))
    assert found.mean() == pytest.approx(0)
    assert found.std() == pytest.approx(1)
    assert not normalised(np.full(5, 0.1)).any()


def test_the_first_step_is_that_of_adam_along_the_gradient():
    """Eq. 20 in NumPy: Adam's first step is the rate times the sign, but for its epsilon."""
    state = DISTRIBUTION.start()
    candidates = sampled(state, 8)
    rewards = np.linspace(0.1, 0.8, 8) ** 2
    mean = np.array(state["mean"])
    weights = (rewards - rewards.mean()) / rewards.std()
    gradient = np.mean(weights[:, None] * (numbers(candidates) - mean) / 0.2**2, axis=0)
    found = np.array(DISTRIBUTION.update(state, candidates, rewards)["mean"])
    np.testing.assert_allclose(found, mean + 0.05 * gradient / (np.abs(gradient) + 1e-8), atol=1e-6)


def test_the_mean_goes_up_to_where_the_reward_is():
    state, goal = DISTRIBUTION.start(), 0.4
    for number in range(60):
        candidates = sampled(state, 16, number)
        rewards = -np.abs(numbers(candidates)[:, 3] - goal)
        state = DISTRIBUTION.update(state, candidates, rewards)
    assert state["mean"][3] == pytest.approx(goal, abs=0.15)


def test_a_stopped_copy_leaves_the_others_alone():
    state = DISTRIBUTION.start()
    candidates, rewards = sampled(state, 6), np.array([0.1, np.nan, 0.7, 0.3, np.nan, 0.2])
    finite = np.isfinite(rewards)
    without = DISTRIBUTION.update(
        state, [one for one, is_left in zip(candidates, finite, strict=True) if is_left], rewards[finite]
    )
    assert DISTRIBUTION.update(state, candidates, rewards) == without


def test_a_state_comes_back_from_json_to_the_bit():
    state = DISTRIBUTION.start()
    for number in range(3):
        candidates = sampled(state, 5, number)
        rewards = np.random.default_rng(number).normal(size=5)
        again = DISTRIBUTION.update(json.loads(json.dumps(state)), candidates, rewards)
        state = DISTRIBUTION.update(state, candidates, rewards)
        assert again == state
