"""The losses by which a predictor learns an order, and how good an order is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.systems.autoloss_gms.predictor.ranking import PAIR_LOSSES, rank_correlation, rank_loss
from jaxloss.systems.autoloss_gms.predictor.resnet1d import LAYOUTS
from jaxloss.systems.autoloss_gms.settings import DEPTHS, RANK_LOSSES


def test_the_rank_losses_by_hand():
    predicted, actual, temperature = [0.02, 0.0, 0.05], [1.0, 0.5, 0.5], 0.01
    differences = np.array([2.0, -3.0])  # the pair with equal scores says nothing
    expected = {"kendall": np.mean(1 - np.tanh(differences)), "logistic": np.mean(np.log1p(np.exp(-differences)))}
    for kind in PAIR_LOSSES:
        value = rank_loss(kind, jnp.array(predicted), jnp.array(actual), temperature)
        assert float(value) == pytest.approx(expected[kind], rel=1e-5)


def test_a_sharp_kendall_loss_is_one_minus_kendalls_coefficient():
    random = np.random.default_rng(0)
    predicted, actual = random.normal(size=(2, 30))
    value = float(rank_loss("kendall", jnp.asarray(predicted), jnp.asarray(actual), 1e-7))
    assert value == pytest.approx(1 - rank_correlation(predicted, actual)["kendall"], abs=1e-5)


def test_settings_name_what_there_is():
    assert tuple(LAYOUTS) == DEPTHS
    assert tuple(PAIR_LOSSES) == RANK_LOSSES


@pytest.mark.parametrize("kind", PAIR_LOSSES)
def test_the_rank_loss_alone_orders(kind):
    random = np.random.default_rng(0)
    actual, predicted = jnp.asarray(random.normal(size=16)), jnp.asarray(random.normal(size=16) * 0.01)
    before = rank_correlation(predicted, actual)["kendall"]
    gradient = jax.jit(jax.grad(lambda predicted: rank_loss(kind, predicted, actual, 0.01)))
    for _ in range(300):
        predicted -= 1e-4 * gradient(predicted)
    assert before < 0.5
    assert rank_correlation(predicted, actual)["kendall"] > 0.9


def test_no_pair_no_rank_loss():
    value, gradient = jax.value_and_grad(lambda p: rank_loss("kendall", p, jnp.ones(4), 0.01))(jnp.arange(4.0))
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros(4))


def test_rank_correlation_by_hand():
    # Of six pairs one is in the wrong order: (5 - 1) / 6; Spearman: 1 - 6 * 2 / (4 * 15).
    assert rank_correlation([1, 2, 4, 3], [10, 20, 30, 40]) == pytest.approx({"kendall": 4 / 6, "spearman": 0.8})
    assert np.isnan(rank_correlation([1, 1, 1], [1, 2, 3])["kendall"])
    with pytest.raises(ValueError, match="predictions for"):
        rank_correlation([1, 2], [1, 2, 3])
