"""The performance predictor: what it is told of a loss, and what it learns from it."""

import dataclasses
import functools

import chex
import jax
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.systems.autoloss_gms.predictor import predictor
from jaxloss.systems.autoloss_gms.predictor.chooser import PromisingLossChooser
from jaxloss.systems.autoloss_gms.predictor.features import LIMIT, FeatureScale, curve_features
from jaxloss.systems.autoloss_gms.predictor.predictor import finite_scores, fit, from_bytes, predict, row_order, to_bytes
from jaxloss.systems.autoloss_gms.predictor.ranking import rank_correlation
from jaxloss.systems.autoloss_gms.settings import ChooserSettings, PredictorSettings
from tests.compilations import counted

POINTS = np.linspace(-1, 1, 257)
# All fits of this file share one compiled training.
TINY = PredictorSettings(depth=10, width=4, num_epochs=50)


def made_up_losses(num_losses, seed):
    """Losses with random slopes, margins and bends, and scores that fall with the mean margin, plus a little noise."""
    random = np.random.default_rng(seed)
    margin, scale = random.uniform(0, 0.8, num_losses), random.uniform(0, 9.5, num_losses)
    slope, bend = random.uniform(0.5, 2, num_losses), random.normal(0, 0.3, num_losses)
    target = slope[:, None] * POINTS - margin[:, None] + bend[:, None] * POINTS**2
    other = slope[:, None] * POINTS
    score = 0.8 - 0.3 * np.mean(other - target, axis=1) + 0.01 * random.normal(size=num_losses)
    return curve_features(target, other, scale), score


@pytest.fixture(scope="module")
def fitted():
    return fit(TINY, *made_up_losses(100, 0), seed=0)


# --- features ----------------------------------------------------------------------------------------------------------------


def test_features_are_two_curves_and_the_scale_spread_out():
    features = curve_features(POINTS[None] - 0.3, POINTS[None], [5.5])
    assert features.shape == (1, 3, 257)
    np.testing.assert_array_equal(features[0], [POINTS - 0.3, POINTS, np.full(257, 5.5)])


def test_scaling_by_median_and_quartiles():
    features = np.array([[[0.0, 1, 2, 3, 4], [7.0] * 5]])
    scaled = FeatureScale.of(features).apply(features)
    assert scaled.shape == (1, 5, 2)
    np.testing.assert_allclose(scaled[0, :, 0], np.arcsinh([-1, -0.5, 0, 0.5, 1]), rtol=1e-6)
    np.testing.assert_array_equal(scaled[0, :, 1], np.zeros(5))  # the same everywhere: its spread counts as 1


def test_features_outside_a_domain_become_finite():
    features = np.array([[[0.0, 1, 2, 3, 4, np.nan, np.inf, -np.inf, 1e300]]])
    scaled = FeatureScale.of(features[:, :, :5]).apply(features)[0, :, 0]
    np.testing.assert_array_equal(scaled[5:], [0, LIMIT, -LIMIT, LIMIT])
    assert np.all(np.abs(scaled[:5]) < 1)
    with_them = FeatureScale.of(features[:, :, :8])
    assert (with_them.centre, with_them.spread) == (2, 2)


def test_a_channel_without_any_finite_value():
    scaled = FeatureScale.of(np.full((2, 3, 4), np.nan)).apply(np.full((2, 3, 4), np.nan))
    np.testing.assert_array_equal(scaled, np.zeros((2, 4, 3)))


# --- fitting -----------------------------------------------------------------------------------------------------------------


def test_it_orders_losses_that_it_has_not_seen(fitted):
    features, scores = made_up_losses(200, 1)
    assert rank_correlation(predict(fitted, features), scores)["kendall"] > 0.7


def test_it_predicts_scores_and_not_only_their_order(fitted):
    """By the rank loss alone it is off by 2, the scores lie in [0, 1]."""
    features, scores = made_up_losses(200, 1)
    assert np.mean(np.abs(predict(fitted, features) - scores)) < 0.15


def test_it_does_not_order_by_itself():
    """Shuffled scores teach nothing: what it learns comes from the features."""
    features, scores = made_up_losses(100, 0)
    state = fit(TINY, features, np.random.default_rng(0).permutation(scores), seed=0)
    features, scores = made_up_losses(200, 1)
    assert abs(rank_correlation(predict(state, features), scores)["kendall"]) < 0.3


@pytest.mark.slow
def test_the_same_seed_gives_the_same_predictor(fitted):
    again = fit(TINY, *made_up_losses(100, 0), seed=0)
    chex.assert_trees_all_equal(again, fitted)
    features, _ = made_up_losses(10, 1)
    other = fit(TINY, *made_up_losses(100, 0), seed=1)
    assert not np.array_equal(predict(other, features), predict(fitted, features))


def test_a_prediction_does_not_depend_on_its_company(fitted):
    features, _ = made_up_losses(21, 1)
    together = predict(fitted, features)
    assert together.shape == (21,)
    np.testing.assert_allclose([predict(fitted, features[i : i + 1])[0] for i in range(21)], together, rtol=1e-5, atol=1e-6)
    assert predict(fitted, features[:0]).shape == (0,)


def test_curves_outside_a_domain_are_harmless():
    features, scores = made_up_losses(100, 0)
    features[3, 0, :40], features[4, 1], features[5, 0, 200:], features[6] = np.nan, np.inf, -np.inf, 1e300
    state = fit(TINY, features, scores, seed=0)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(state))
    assert np.all(np.isfinite(predict(state, features)))
    features, scores = made_up_losses(200, 1)
    assert rank_correlation(predict(state, features), scores)["kendall"] > 0.6


def test_a_growing_set_of_losses_compiles_nothing_new(fitted):
    predict(fitted, made_up_losses(10, 4)[0])
    settings = dataclasses.replace(TINY)
    with counted() as compiled:
        for num_losses in (3, 20, 120):
            state = fit(settings, *made_up_losses(num_losses, 2), seed=3)
            predict(state, made_up_losses(num_losses, 4)[0])
    assert not compiled


def test_stopped_trainings_have_the_worst_score():
    np.testing.assert_array_equal(finite_scores([0.5, None, 0.2, float("nan"), float("inf")]), [0.5, 0.2, 0.2, 0.2, 0.2])
    with pytest.raises(UserError, match="all 2 evaluated trainings were stopped"):
        finite_scores([None, float("nan")])


def test_standardised_scores_come_back_in_their_own_unit(monkeypatch):
    """What the network is taught has mean 0 and deviation 1; what is predicted is not."""
    taught = {}

    def instead(settings, key, curves, scores, batches, num_steps):
        taught["scores"] = scores[:30]
        return {}

    monkeypatch.setattr(predictor, "train_network", instead)
    monkeypatch.setattr(predictor, "apply_network", lambda settings, variables, curves: taught["scores"][: len(curves)])
    features, scores = made_up_losses(30, 0)
    state = fit(dataclasses.replace(TINY, score_scale="standardised"), features, 100 * scores, seed=0)
    assert (taught["scores"].mean(), taught["scores"].std()) == pytest.approx((0, 1), abs=1e-4)
    np.testing.assert_allclose(predict(state, features[:16]), 100 * scores[:16], rtol=1e-5)


def test_every_epoch_sees_every_loss_and_no_batch_is_small():
    order = row_order(num_rows=10, num_epochs=8, batch_size=16, seed=0)
    assert order.shape == (5, 16)
    for epoch in order.ravel().reshape(8, 10):
        assert sorted(epoch) == list(range(10))
    assert len({tuple(epoch) for epoch in order.ravel().reshape(8, 10)}) == 8
    assert row_order(3, 1, 16, 0).shape == (1, 16)
    assert row_order(100, 200, 16, 0).shape == (1250, 16)


def test_a_stored_predictor_predicts_the_same(fitted):
    features, _ = made_up_losses(10, 1)
    restored = from_bytes(TINY, to_bytes(fitted))
    np.testing.assert_array_equal(predict(restored, features), predict(fitted, features))
    chex.assert_trees_all_equal(restored, fitted)
    with pytest.raises(UserError, match=r"predictor\.width=8"):
        from_bytes(dataclasses.replace(TINY, width=8), to_bytes(fitted))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 20}, r"unknown search\.chooser\.predictor\.depth '20'.*Choices: 10, 18, 34, 50"),
        ({"rank_loss": "kendal"}, "Did you mean 'kendall'"),
        ({"score_scale": "log"}, r"predictor\.score_scale"),
        ({"hidden": ("a",)}, r"predictor\.hidden takes whole numbers above 0, not \('a',\)"),
        ({"hidden": (8, 0)}, r"predictor\.hidden"),
        ({"rank_temperature": 0.0}, r"predictor\.rank_temperature must be at least 1e-09, not 0"),
        ({"rank_weight": 0.0, "regression_weight": 0.0}, "not both be 0"),
    ],
)
def test_impossible_settings_are_named(change, message):
    with pytest.raises(UserError, match=message):
        PredictorSettings(**change)


# --- the chooser -------------------------------------------------------------------------------------------------------------


def test_chooser_and_predictor_together(fitted):
    chooser = PromisingLossChooser(ChooserSettings(start_after=100), functools.partial(fit, TINY, seed=0), predict)
    chooser.update(*made_up_losses(100, 0))
    features, scores = made_up_losses(10, 5)
    assert chooser.choose(features) == int(np.argmax(predict(fitted, features)))
    assert scores[chooser.choose(features)] > np.median(scores)
