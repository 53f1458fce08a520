"""The performance predictor and the promising-loss chooser of AutoLoss-GMS."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.systems.autoloss_gms.predictor import predictor
from jaxloss.systems.autoloss_gms.predictor.chooser import PromisingLossChooser
from jaxloss.systems.autoloss_gms.predictor.features import LIMIT, FeatureScale, curve_features
from jaxloss.systems.autoloss_gms.predictor.predictor import finite_scores, fit, from_bytes, predict, row_order, to_bytes
from jaxloss.systems.autoloss_gms.predictor.ranking import PAIR_LOSSES, rank_correlation, rank_loss
from jaxloss.systems.autoloss_gms.predictor.resnet1d import LAYOUTS, ResNet1D
from jaxloss.systems.autoloss_gms.settings import DEPTHS, RANK_LOSSES, ChooserSettings, PredictorSettings
from tests.compilations import counted

POINTS = np.linspace(-1, 1, 257)
# All fits of this file share one compiled training.
TINY = PredictorSettings(depth=10, width=4, num_epochs=100)
SHAPE = (1, 257, 3)


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


# --- the network -------------------------------------------------------------------------------------------------------------


def shapes(**options):
    return jax.eval_shape(ResNet1D(**options).init, jax.random.key(0), jax.ShapeDtypeStruct(SHAPE, jnp.float32))


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_the_papers_network_has_sixteen_million_parameters():
    """Counted by hand: ResNet-50 with kernels of 7 and 3 in the place of 7 x 7 and 3 x 3, and one output."""
    normalised = [64] + [64, 64, 256] * 3 + [128, 128, 512] * 4 + [256, 256, 1024] * 6 + [512, 512, 2048] * 3
    shortcuts = [(64, 256), (256, 512), (512, 1024), (1024, 2048)]
    kernels = 7 * 3 * 64 + sum(before * after for before, after in shortcuts)
    entering = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for _ in range(blocks):
            kernels += entering * width + 3 * width * width + width * 4 * width
            entering = 4 * width
    expected = kernels + 2 * (sum(normalised) + sum(after for _, after in shortcuts)) + 2048 + 1
    assert count(shapes(depth=50, width=64)["params"]) == expected == 15_957_185


@pytest.mark.parametrize("depth", [10, 18, 34, 50])
def test_depth_counts_the_layers_on_the_way(depth):
    params = shapes(depth=depth, width=2)["params"]
    shortcuts = 4 if depth == 50 else 3
    assert sum(name.startswith("Conv") for name in params) + 1 == depth + shortcuts
    assert params["Dense_0"]["kernel"].shape == ((64 if depth == 50 else 16), 1)


def test_hidden_layers_stand_before_the_output():
    params = shapes(depth=10, width=2, hidden=(5, 3))["params"]
    assert [params[f"Dense_{place}"]["kernel"].shape for place in range(3)] == [(16, 5), (5, 3), (3, 1)]


@pytest.mark.parametrize("depth", [10, 50])
def test_one_number_for_each_loss_of_any_resolution(depth):
    for points in (33, 257):
        network, curves = ResNet1D(depth, 2), jax.ShapeDtypeStruct((5, points, 3), jnp.float32)
        variables = jax.eval_shape(network.init, jax.random.key(0), curves)
        output = jax.eval_shape(network.apply, variables, curves)
        assert (output.shape, output.dtype) == ((5,), jnp.float32)


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


# --- ranking -----------------------------------------------------------------------------------------------------------------


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

    monkeypatch.setattr(predictor, "_train", instead)
    monkeypatch.setattr(predictor, "_forward", lambda settings, variables, curves: taught["scores"][: len(curves)])
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


class Spy:
    """A predictor that remembers what it was fitted on, and predicts what it is given."""

    def __init__(self):
        self.fits = []

    def fit(self, features, scores):
        self.fits.append((list(features), list(scores)))
        return len(self.fits)

    def chooser(self, **settings):
        return PromisingLossChooser(ChooserSettings(**settings), self.fit, lambda state, features: features)


def test_the_papers_numbers():
    assert dataclasses.astuple(ChooserSettings()) == (100, 100, 10, False)


def test_algorithm_4_step_by_step():
    """E_0 = 4, Delta E = 3, N_p = 2; every proposed candidate passes the filters."""
    spy = Spy()
    chooser = spy.chooser(start_after=4, update_every=3, candidates=2)
    pool, evaluated, events = [], [], []
    for proposed in range(20):
        if chooser.needs_update(len(evaluated)):
            chooser.update(np.array(evaluated), evaluated)
            events.append(f"fit on {chooser.fitted_rows}")
        pool.append(float(proposed if proposed % 2 else -proposed))
        if len(pool) == chooser.num_candidates(len(evaluated)):
            chosen = chooser.choose(np.array(pool)) if chooser.active(len(evaluated)) else 0
            evaluated.append(pool[chosen])
            events.append(int(abs(pool[chosen])))
            pool = []
    assert events == [0, 1, 2, 3, "fit on 4", 5, 7, 9, "fit on 7", 11, 13, 15, "fit on 10", 17, 19]
    assert spy.fits[0] == ([0, 1, -2, 3], [0, 1, -2, 3])
    assert len(spy.fits) == 3


def test_one_fit_while_the_number_of_evaluations_stands_still():
    spy = Spy()
    chooser = spy.chooser(start_after=2, update_every=2)
    assert [chooser.active(e) for e in range(4)] == [False, False, True, True]
    assert [chooser.rows_to_fit(e) for e in range(7)] == [0, 0, 2, 2, 4, 4, 6]
    assert not chooser.needs_update(1)
    for _ in range(3):
        if chooser.needs_update(2):
            chooser.update(np.arange(2), [0.1, 0.2])
    assert len(spy.fits) == 1
    assert not chooser.needs_update(3)
    assert chooser.needs_update(4)


def test_a_generation_that_jumps_over_a_fit_gives_the_same_predictor():
    """Five rows are there when the fit on four is due; the fifth is left for the next one."""
    spy = Spy()
    chooser = spy.chooser(start_after=2, update_every=2)
    chooser.update(np.arange(5), [0.0, 0.1, None, 0.3, 0.4])
    assert spy.fits == [([0, 1, 2, 3], [0.0, 0.1, None, 0.3])]
    assert not chooser.needs_update(5)


def test_a_continued_search_does_not_fit_again():
    spy = Spy()
    chooser = spy.chooser(start_after=2, update_every=2)
    chooser.restore(state=7, fitted_rows=4)
    assert not chooser.needs_update(5)
    assert chooser.needs_update(6)
    assert chooser.choose(np.array([0.1, 0.3, 0.2])) == 1
    assert spy.fits == []


def test_the_best_prediction_wins():
    chooser = Spy().chooser()
    with pytest.raises(ValueError, match="not been fitted"):
        chooser.choose(np.zeros(3))
    with pytest.raises(ValueError, match="starts after 100"):
        chooser.update(np.zeros(99), [0.0] * 99)
    chooser.restore(1, 100)
    assert chooser.choose(np.array([-3.0, -1.0, -2.0])) == 1
    assert chooser.choose(np.array([1.0, 2.0, 2.0])) == 1
    assert chooser.choose(np.array([np.nan, -5.0, np.nan])) == 1
    assert chooser.choose(np.array([np.nan, np.nan])) == 0


@pytest.mark.parametrize(("name", "value"), [("start_after", 1), ("update_every", 0), ("candidates", 0)])
def test_impossible_numbers_are_named(name, value):
    with pytest.raises(UserError, match=rf"search\.chooser\.{name} must be at least"):
        ChooserSettings(**{name: value})


def test_chooser_and_predictor_together(fitted):
    chooser = PromisingLossChooser(ChooserSettings(start_after=100), functools.partial(fit, TINY, seed=0), predict)
    chooser.update(*made_up_losses(100, 0))
    features, scores = made_up_losses(10, 5)
    assert chooser.choose(features) == int(np.argmax(predict(fitted, features)))
    assert scores[chooser.choose(features)] > np.median(scores)
