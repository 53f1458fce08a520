"""The task of regression: its data and outliers, its metrics against scikit-learn and SciPy, its rejection problem."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from jaxloss.config.file import load_config
from jaxloss.core.problem import PREDICTIONS
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.metrics.regression import inverse_mae, r2, spearman
from jaxloss.tasks.regression.settings import RegressionSettings
from jaxloss.tasks.regression.splits import with_outliers
from jaxloss.tasks.regression.task import make_regression
from tests.errors import user_error


def make(**settings):
    return make_regression(RegressionSettings(model_options={"features": (8,)}, **settings))


def test_targets_and_features_are_standardised_by_what_is_trained_on():
    task = make()
    train, test = task.data["train"], task.data["test"]
    for array in (train["input"], train["target"]):
        np.testing.assert_allclose(array.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(array.std(axis=0), 1, atol=1e-5)
    assert abs(float(test["target"].mean())) > 1e-3
    units = np.concatenate([np.asarray(part["target"] * part["deviation"] + part["mean"]) for part in task.data.values()])
    assert (round(float(units.min())), round(float(units.max())), len(units)) == (25, 346, 442)


def test_outliers_are_a_share_of_the_training_targets_and_follow_their_seed():
    targets = np.random.default_rng(0).normal(100, 7, (1000, 2)).astype(np.float32)
    changed = with_outliers(targets, 0.3, 4.0, (0, 0))
    moved = (changed != targets).any(axis=1)
    assert moved.sum() == 300
    np.testing.assert_allclose((changed - targets)[moved].std(axis=0), 4 * targets.std(axis=0), rtol=0.15)
    np.testing.assert_array_equal(changed, with_outliers(targets, 0.3, 4.0, (0, 0)))
    assert not np.array_equal(changed, with_outliers(targets, 0.3, 4.0, (1, 0)))
    clean, noisy = (make(outlier_share=share, outlier_scale=5.0) for share in (0.0, 0.2))
    assert noisy.name == "diabetes with 20% outliers"
    assert noisy.details["num_outliers"] == round(0.2 * noisy.details["num_train"])
    ratios = [float(one.data["test"]["deviation"][0, 0]) for one in (noisy, clean)]
    assert 1.5 < ratios[0] / ratios[1] < 3.5
    spread = [np.asarray(one.data["test"]["target"] * one.data["test"]["deviation"]).std() for one in (noisy, clean)]
    assert spread[0] == pytest.approx(spread[1], rel=1e-4)


def test_metrics_are_those_of_scikit_learn_and_scipy():
    random = np.random.default_rng(0)
    targets = random.normal(size=(50, 2)).round(1)
    predictions = (targets * [1.0, -0.1] + random.normal(size=targets.shape)).round(1)
    given = jnp.asarray(predictions, jnp.float32), jnp.asarray(targets, jnp.float32)
    by_target = sklearn.metrics.r2_score(targets, predictions, multioutput="raw_values")
    assert by_target[1] < 0
    np.testing.assert_allclose(r2(*given), max(by_target[0], 0) / 2, rtol=1e-4)
    ranks = [scipy.stats.spearmanr(predictions[:, column], targets[:, column]).statistic for column in (0, 1)]
    assert ranks[0] > 0.2
    np.testing.assert_allclose(spearman(*given), np.maximum(ranks, 0).mean(), rtol=1e-4)
    np.testing.assert_allclose(
        inverse_mae(*given), 1 / (1 + sklearn.metrics.mean_absolute_error(targets, predictions)), rtol=1e-5
    )
    assert np.isnan(spearman(given[0].at[3].set(jnp.nan), given[1]))
    assert r2(jnp.zeros((5, 1)), jnp.ones((5, 1))) == spearman(jnp.zeros((5, 1)), given[1][:5, :1]) == 0


def test_the_metric_of_the_rejection_problem_is_the_share_of_the_error_that_is_gone():
    task = make()
    variables = jax.jit(task.init)(jax.random.key(0))
    (problem,) = task.problems[PREDICTIONS](variables, task.data["train"], jax.random.key(1), 5).values()
    target = problem.context["target"]
    np.testing.assert_allclose(problem.metrics(problem.start), 0, atol=1e-6)
    np.testing.assert_allclose(problem.metrics(target), 1, atol=1e-6)
    np.testing.assert_allclose(problem.metrics(0.25 * problem.start + 0.75 * target), 0.75, atol=1e-4)
    np.testing.assert_allclose(problem.metrics(2 * problem.start - target), 0, atol=1e-6)
    # There is an error that can go.
    assert float(jnp.abs(problem.start - target).min()) > 0.3


def test_own_arrays_and_images_are_read_from_a_file(tmp_path):
    random = np.random.default_rng(0)
    images, targets = random.integers(0, 256, (30, 4, 4, 1)).astype(np.uint8), random.normal(size=(30, 3))
    np.savez(tmp_path / "a.npz", train_inputs=images, train_targets=targets, test_inputs=images, test_targets=targets)
    settings = RegressionSettings(source="npz:a.npz", model="small_cnn", model_options={"features": (2,)})
    task = make_regression(settings, TaskContext(data_dir=str(tmp_path)))
    assert task.details["num_test"] == 30
    assert task.details["num_targets"] == 3
    assert task.data["train"]["input"].dtype == jnp.uint8
    variables = jax.eval_shape(task.init, jax.random.key(0))
    branches, _ = jax.eval_shape(task.forward, variables, task.data["train"], jax.random.key(0))
    assert branches["regression"].arrays["prediction"].shape == (task.details["num_train"], 1, 1, 3)
    np.savez(tmp_path / "b.npz", train_inputs=images)
    with user_error("b.npz lacks train_targets"):
        make_regression(RegressionSettings(source="npz:b.npz"), TaskContext(data_dir=str(tmp_path)))
    np.savez(tmp_path / "c.npz", train_inputs=images[:3], train_targets=[1.0, np.nan, 2.0])
    with user_error("c.npz (train): 1 of the targets hold NaN, infinity or more than float32 does, the first is number 1"):
        make_regression(RegressionSettings(source="npz:c.npz"), TaskContext(data_dir=str(tmp_path)))


def test_mistakes_are_one_line_each():
    with user_error("task.regression.metric has to rise", "in place of 'mean_absolute_error' take inverse_mae"):
        RegressionSettings(metric="mean_absolute_error")
    with user_error("unknown data source 'diabets'", "Did you mean 'diabetes'?"):
        make(source="diabets")
    with user_error("task.regression.model=small_cnn takes images [M, H, W, C], and diabetes has [10]"):
        make(model="small_cnn")


def test_the_config_passes_its_checks():
    assert load_config("configs/autoloss_zero_regression.py").task.regression.outlier_share == 0.2
