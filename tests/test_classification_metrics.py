"""The metrics of classification: against scikit-learn, against others that are written out, and by name."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
import sklearn.metrics

from jaxloss.core.errors import UserError
from jaxloss.tasks.classification import BRANCH, make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.metrics.classification import (
    accuracy_from_counts,
    class_counts,
    correct,
    mean_class_accuracy_from_counts,
)
from jaxloss.tasks.metrics.registry import ALIASES, ALWAYS, METRICS
from tests.errors import user_error
from tests.noisy_digits import digits, digits_variables


def first(examples, count):
    return jax.tree.map(lambda array: array[:count], examples)


def drawn(seed, present=(0, 1, 2, 4), num_examples=200, ties=True):
    """Logits of five classes of which some do not occur, and labels; for ties, a few rows stand there many times."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(present, num_examples)
    logits = generator.normal(size=(num_examples, 5))
    if ties:
        logits = logits[generator.integers(12, size=num_examples)]
    return logits + 1.5 * np.eye(5)[np.where(generator.random(num_examples) < 0.7, labels, 3)], labels


@functools.cache
def compiled(name):
    return jax.jit(METRICS[name])


def computed(name, logits, labels):
    return float(compiled(name)(jnp.asarray(logits, jnp.float32), jnp.asarray(labels, jnp.int32)))


def taken(logits):
    """The class of the largest logit, 5 for a row with NaN."""
    return np.where(np.isnan(logits).any(axis=1), 5, np.argmax(np.nan_to_num(logits), axis=1))


def average_precision(own, scores, broken):
    """Of one class, of which those with NaN are not found, by scikit-learn: the others alone, as a share of all."""
    rows = ~(own & broken)
    return sklearn.metrics.average_precision_score(own[rows], scores[rows]) * own[rows].sum() / own.sum()


def reference(name, logits, labels):
    """What scikit-learn says, where it knows the metric."""
    present = np.unique(labels)
    if name == "accuracy":
        return sklearn.metrics.accuracy_score(labels, taken(logits))
    if name in ("mean_class_accuracy", "worst_class_accuracy"):
        shares = sklearn.metrics.recall_score(labels, taken(logits), labels=present, average=None)
        return shares.mean() if name == "mean_class_accuracy" else shares.min()
    if name == "macro_f1":
        return sklearn.metrics.f1_score(labels, taken(logits), labels=present, average="macro")
    probabilities = scipy.special.softmax(np.where(np.isnan(logits).any(axis=1, keepdims=True), 0, logits), axis=1)
    broken = np.isnan(logits).any(axis=1)
    if name == "macro_auc":
        probabilities = np.where(broken[:, None], np.where(np.eye(5)[labels] == 1, -1.0, 2.0), np.round(probabilities, 12))
        return np.mean([sklearn.metrics.roc_auc_score(labels == index, probabilities[:, index]) for index in present])
    if name == "macro_average_precision":
        placed = np.where(broken[:, None], 2.0, np.round(probabilities, 12))
        return np.mean([average_precision(labels == index, placed[:, index], broken) for index in present])
    assert name == "calibration"
    confidence = np.where(broken, 1.0, probabilities.max(axis=1))
    right = taken(logits) == labels
    error = 0.0
    for index in range(15):
        inside = (confidence > index / 15) & (confidence <= (index + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return 1 - error


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("ties", [True, False], ids=["ties", "no ties"])
def test_metrics_are_those_of_scikit_learn(name, ties):
    logits, labels = drawn(0, ties=ties)
    assert 0.2 < computed(name, logits, labels) < 1
    assert computed(name, logits, labels) == pytest.approx(reference(name, logits, labels), abs=1e-5)
    logits[::7, 3] = np.nan
    assert computed(name, logits, labels) == pytest.approx(reference(name, logits, labels), abs=1e-5)
    assert computed(name, logits[:1], labels[:1]) == pytest.approx(0.0, abs=1e-6)  # a row with NaN alone


@pytest.mark.parametrize("name", METRICS)
def test_metrics_at_the_ends(name):
    labels = np.arange(40) % 5
    right, broken = 50 * np.eye(5)[labels], np.full((40, 5), np.nan)
    assert computed(name, right, labels) == pytest.approx(1.0, abs=1e-6)
    assert computed(name, broken, labels) == pytest.approx(0.0, abs=1e-6)
    # Of the ranked ones, the classes behind the wrong one are tied.
    at_worst = {"macro_auc": 0.375, "macro_average_precision": 0.2}
    assert computed(name, 50 * np.eye(5)[(labels + 1) % 5], labels) == pytest.approx(at_worst.get(name, 0.0), abs=1e-5)


def test_customary_names_are_taken():
    for alias, name in ALIASES.items():
        task = with_metrics(alias, (name,))
        assert task.metric == name
        assert task.also_shown == ("accuracy",)
    with user_error("unknown task.classification.metric 'balanced_acuracy'. Did you mean 'balanced_accuracy'?"):
        ClassificationSettings(metric="balanced_acuracy")


def test_equal_scores_are_half_an_area_and_wholly_calibrated():
    logits, labels = np.zeros((40, 5)), np.arange(40) % 5
    assert computed("macro_auc", logits, labels) == pytest.approx(0.5)
    assert computed("calibration", logits, labels) == pytest.approx(1.0)
    # One class alone has no rest, and nothing can be judged.
    assert computed("macro_auc", logits, np.zeros(40)) == 0.0


def test_confident_rows_of_rare_classes_keep_their_order():
    """In float32 both probabilities of class 1 are 0, and those of class 0 are 1, which is a tie."""
    logits = np.array([[200.0, 0.0], [200.0, 20.0]])
    assert computed("macro_auc", logits, [0, 1]) == (0.5 + 1.0) / 2


def test_metrics_by_hand():
    scores = jnp.array([[0.2, 0.8, 0.0], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [jnp.nan, 0.0, 0.0], [0.0, 0.0, 1.0]])
    labels = jnp.array([1, 0, 1, 0, 2])
    np.testing.assert_array_equal(correct(scores, labels), [True, True, False, False, True])
    assert accuracy_from_counts(*class_counts(scores, labels)) == pytest.approx(3 / 5)
    counts = class_counts(scores, labels, jnp.array([1.0, 0.0, 1.0, 1.0, 0.0]))
    np.testing.assert_array_equal(counts, [[0, 1, 0], [1, 2, 0]])
    assert accuracy_from_counts(*counts) == pytest.approx(1 / 3)
    assert mean_class_accuracy_from_counts(*counts) == pytest.approx(1 / 4)
    assert accuracy_from_counts(*class_counts(scores, labels, jnp.zeros(5))) == 0.0


def with_metrics(metric, also_shown=()):
    return make_classification(
        ClassificationSettings("digits", metric=metric, also_shown=also_shown, model_options={"features": (16,)})
    )


def test_any_metric_may_be_maximised_and_no_other_is_computed():
    task, variables = digits(), digits_variables()
    assert (task.metric, task.also_shown) == ("accuracy", ())
    examples = task.data["search_eval"]
    assert jax.eval_shape(task.scores, variables, examples).keys() == set(ALWAYS)
    for name in METRICS:
        chosen = with_metrics(name)
        assert chosen.metric == name
        assert chosen.also_shown == (() if name == "accuracy" else ("accuracy",))
        assert jax.eval_shape(chosen.scores, variables, examples).keys() == {*ALWAYS, name}
    several = with_metrics("macro_f1", ("calibration", "accuracy", "macro_f1"))
    assert (several.metric, several.also_shown) == ("macro_f1", ("accuracy", "calibration"))
    assert jax.eval_shape(several.scores, variables, examples).keys() == {*ALWAYS, "macro_f1", "calibration"}
    with pytest.raises(UserError, match=r"unknown task\.classification\.metric 'acuracy'\. Did you mean 'accuracy'\?"):
        ClassificationSettings(metric="acuracy")


def log_likelihood(scores, labels):
    return jnp.exp(-optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean())


def accuracy(scores, labels):
    return (scores.argmax(axis=-1) == labels).mean()


def one_for_each(scores, labels):
    return scores[:, 0]


def with_a_mistake(scores, labels):
    return scores @ labels.reshape(3, 5)


def test_a_metric_is_a_function_and_a_line(monkeypatch):
    monkeypatch.setitem(METRICS, "log_likelihood", log_likelihood)
    task, variables = with_metrics("log_likelihood"), digits_variables()
    scores = task.scores(variables, first(task.data["test"], 5))
    assert 0 < scores["log_likelihood"] < 1


def test_a_metric_from_outside_has_the_name_of_its_function():
    task, variables = with_metrics(f"{__name__}:log_likelihood"), digits_variables()
    assert (task.metric, task.also_shown) == ("log_likelihood", ("accuracy",))
    examples = task.data["test"]
    branches, _ = task.forward(variables, examples, jax.random.key(0))
    expected = log_likelihood(branches[BRANCH].arrays["logits"][:, 0, 0], examples["label"])
    np.testing.assert_allclose(jax.jit(task.scores)(variables, examples)["log_likelihood"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("jaxloss.nothing:recall", "cannot import the metric 'jaxloss.nothing:recall'"),
        (f"{__name__}:recall", "has no 'recall'"),
        (f"{__name__}:accuracy", "must not be called 'accuracy', as another one is"),
        (f"{__name__}:one_for_each", "must give a scalar, float32[], and gives float32[4]"),
        (f"{__name__}:with_a_mistake", "raises TypeError: cannot reshape array of shape (4,)"),
        ("tests.noisy_digits:NOISY", "must be a function (logits [N, C], labels [N]) -> scalar"),
    ],
)
def test_what_is_no_metric_is_one_line(metric, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        with_metrics(metric)
    assert "\n" not in str(error.value)
