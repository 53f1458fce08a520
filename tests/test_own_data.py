"""Tasks from arrays, a network and a metric: those of scikit-learn, of JAX and by name, for both kinds; and runs with them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from sklearn.metrics import balanced_accuracy_score, r2_score

import jaxloss
from examples import own_data
from jaxloss import launch
from jaxloss.tasks.check import check_task, on_division
from jaxloss.tasks.evaluation import Evaluation
from tests.errors import user_error

RANDOM = np.random.default_rng(0)
POINTS = RANDOM.normal(size=(90, 4)).astype(np.float32)
CLASSES = (POINTS[:, 0] > 0).astype(int) + (POINTS[:, 1] > 1)
NUMBERS = 50 + 20 * POINTS[:, :2] @ np.array([[1.0, 0.5], [0.0, 2.0]])


class Network(nn.Module):
    """With BatchNorm and dropout."""

    num_outputs: int = 3

    @nn.compact
    def __call__(self, inputs, train):
        assert inputs.shape[1:] == (4,)
        hidden = nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(inputs))
        return nn.Dense(self.num_outputs)(nn.Dropout(0.1, deterministic=not train)(hidden))


class Model(nnx.Module):
    def __init__(self, rngs):
        self.layer = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, inputs):
        return self.layer(inputs)[:, 0]


def balanced(probabilities, labels):
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    return balanced_accuracy_score(labels, probabilities.argmax(-1))


def sure_and_right(probabilities, labels):
    return jnp.take_along_axis(probabilities, labels[:, None], axis=1).mean()


def in_units(predictions, targets):
    """Of the values themselves: half of what is far away."""
    return 0.5 * jnp.mean((targets > 20) & (jnp.abs(predictions) > -1)) - (predictions.shape[1] - 2)


def scores(task, seed=0):
    variables = jax.jit(task.init)(jax.random.key(seed))
    return variables, Evaluation(task)(variables, task.data["test"], True)


def test_a_function_of_the_host_and_one_of_jax_are_both_metrics():
    task = jaxloss.make_task(POINTS, CLASSES, Network(), balanced, also_shown=(sure_and_right, "roc_auc"))
    check_task(task, reads={"classification": ("prediction", "target")}, num_samples=5)
    assert (task.metric, task.also_shown) == ("balanced", ("sure_and_right", "macro_auc", "accuracy"))
    assert task.host_metrics.names == ("balanced",)
    assert on_division(task, 1).details["network"] == "Network"
    _, found = scores(task)
    assert found["balanced"] == pytest.approx(float(found["mean_class_accuracy"]), abs=1e-6)
    assert 0.2 < float(found["sure_and_right"]) < 0.5


def test_numbers_with_a_fraction_are_a_regression_in_their_own_units():
    task = jaxloss.make_task(POINTS, NUMBERS, Network(2), in_units, also_shown=("spearmanr",), outlier_share=0.1)
    check_task(task, reads={"regression": ("prediction", "target")}, num_samples=5)
    assert task.details["num_outliers"] == 5
    _, found = scores(task)
    assert float(found["in_units"]) == pytest.approx(0.5 * (NUMBERS > 20).mean(), abs=0.06)
    assert task.also_shown == ("spearman", "r2", "inverse_mae")


def test_r2_of_scikit_learn_below_0_counts_as_0_and_a_row_may_be_a_number():
    task = jaxloss.make_task(
        POINTS, NUMBERS[:, 0], lambda rngs: Model(rngs), lambda predictions, targets: r2_score(targets, predictions)
    )
    assert task.metric == "metric"
    _, found = scores(task)
    assert found["metric"] == pytest.approx(float(found["r2"]), abs=1e-5)
    variables = jax.tree.map(lambda leaf: -50.0 + leaf, jax.jit(task.init)(jax.random.key(0)))
    assert Evaluation(task)(variables, task.data["test"], True)["metric"] == 0.0


def test_classes_may_be_text_and_test_arrays_are_kept_for_the_end():
    names = np.array(["cat", "dog", "eel"])[CLASSES]
    task = jaxloss.make_task(POINTS[:60], names[:60], "mlp", "ece", test=(POINTS[60:], names[60:]))
    assert task.metric == "calibration"
    assert task.details["class_names"] == ["cat", "dog", "eel"]
    assert sorted(np.asarray(task.data["test"]["label"])) == sorted(CLASSES[60:])


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        (POINTS.astype(object), CLASSES.astype(object)),
        (jnp.asarray(POINTS, jnp.bfloat16), CLASSES.astype(float)),
        (POINTS.tolist(), CLASSES[:, None]),
    ],
)
def test_arrays_of_any_numbers_will_do(inputs, targets):
    """Pandas makes objects of columns that may lack values, and floats of integers that lack some."""
    task = jaxloss.make_task(inputs, targets, Network(), "accuracy", kind="classification")
    assert task.details["class_names"] == ["0", "1", "2"]
    expected = jaxloss.make_task(POINTS, CLASSES, Network(), "accuracy").data["train"]
    np.testing.assert_array_equal(task.data["train"]["label"], expected["label"])
    np.testing.assert_allclose(task.data["train"]["image"], expected["image"], rtol=1e-2)


def test_images_come_as_they_are():
    seen = []

    class Flat(nn.Module):
        @nn.compact
        def __call__(self, images):
            seen.append((images.shape[1:], images.dtype))
            return nn.Dense(2)(images.reshape(len(images), -1))

    images = RANDOM.integers(0, 256, (40, 5, 6)).astype(np.uint8)
    jaxloss.make_task(images, np.arange(40) % 2, Flat(), "accuracy")
    assert {*seen} == {((5, 6), jnp.dtype("float32"))}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"metric": "balanced_acuracy"}, "unknown metric 'balanced_acuracy'. Did you mean 'balanced_accuracy'?"),
        ({"targets": NUMBERS, "metric": "mae"}, "in place of 'mae' take inverse_mae, which is 1 / (1 + MAE)"),
        ({"targets": NUMBERS, "metric": "rmse"}, "in place of 'rmse' take inverse_mae, which is 1 / (1 + MAE), or r2, one minus"),
        ({"metric": "f1"}, "unknown metric 'f1'. Did you mean 'f1_macro'?"),
        ({"metric": 3}, "a metric must be a name, or a function (predictions, targets) -> number, not an int"),
        ({"metric": lambda one, other: one / "a"}, "the metric 'metric' raises"),
        ({"metric": lambda one, other: one}, "the metric 'metric' must give a number, and gives float32[64, 3]"),
        ({"network": Network(5)}, "the network must give logits, float32[2, 3] for 2 examples, and gives float32[2, 5]"),
        ({"network": nnx.Linear(4, 3, rngs=nnx.Rngs(0))}, "lambda rngs: Net(rngs=rngs), which each training initialises anew"),
        ({"targets": CLASSES[:4]}, "inputs: 90 inputs and targets of shape [4]; one target for each is wanted"),
        ({"inputs": POINTS[:, 0]}, "a single feature [M] as inputs[:, None], not of shape [90]"),
        (
            {"inputs": POINTS.astype(float) * 1e300},
            "inputs: 90 of 90 examples hold NaN, infinity or more than float32 does, the first is number 0",
        ),
        ({"inputs": POINTS + 1j}, "inputs must be numbers, not complex64"),
        ({"inputs": np.array([["1", "x"]] * 90)}, "inputs must be numbers, not 'x'"),
        ({"inputs": [[1.0], [1.0, 2.0]]}, "inputs must be an array, in which all examples are of one shape"),
        ({"targets": CLASSES + 1}, "targets are 1, 2, 3: number the classes from 0 and leave none out"),
        ({"targets": 2 * CLASSES}, "targets are 0, 2, 4: number the classes from 0 and leave none out"),
        ({"targets": 0 * CLASSES}, "the targets are of a single class"),
        ({"targets": np.eye(3, dtype=int)[CLASSES]}, "of one-hot rows give targets.argmax(axis=1)"),
        ({"targets": [None, *CLASSES[1:]]}, "1 of 90 targets are missing or not finite, the first is number 0"),
        ({"targets": [*["a", "b"] * 44, "a", None]}, "1 of 90 targets are missing or not finite, the first is number 89"),
        (
            {"targets": NUMBERS},
            "the metric 'accuracy' is one of classification, and these targets make a regression: say kind='cl",
        ),
        (
            {"metric": "r2"},
            "the metric 'r2' is one of regression, and these targets make a classification: say kind='regression'",
        ),
        ({"targets": np.full(90, 0.5), "metric": "r2"}, "target 0 is 0.5 for all examples of train: there is nothing to predict"),
        ({"targets": NUMBERS * 1e300, "metric": "r2"}, "targets: 90 of 90 examples hold NaN, infinity or more than float32 does"),
        ({"network": Network}, "which each training initialises anew; not the class Network"),
        ({"model": "mlp"}, "unknown argument of make_task 'model'"),
        ({"also_shown": "macro_f1"}, "also_shown must be a list of metrics, not 'macro_f1'"),
        ({"fractions": "half"}, "the argument fractions of make_task takes a tuple such as (0.5, 0.2, 0.3), not 'half'"),
        ({"test": (POINTS[:9, :3], CLASSES[:9])}, "inputs are [4] each, those of test [3]"),
        (
            {"targets": CLASSES % 2, "test": (POINTS, CLASSES)},
            "the class '2' of the test targets is not among those of training: 0, 1",
        ),
        ({"kind": "regresion"}, "unknown kind 'regresion'. Did you mean 'regression'?"),
        ({"noise_rat": 0.1}, "unknown argument of make_task 'noise_rat'. Did you mean 'noise_rate'?"),
        ({"test": POINTS}, "test must be (inputs, targets), two arrays"),
    ],
)
def test_mistakes_are_one_line_each(changed, message):
    given = {"inputs": POINTS, "targets": CLASSES, "network": Network(), "metric": "accuracy", **changed}
    with user_error(message):
        jaxloss.make_task(**given)


QUICK = {
    "mode": "train",
    "loss": "cross_entropy",
    "comparison.test_seeds": 2,
    "comparison.num_divisions": 1,
    "training.num_epochs": 2.0,
    "quiet": True,
}


class Smaller(nn.Module):
    """With other variables than the example's network."""

    @nn.compact
    def __call__(self, inputs):
        return nn.Dense(2)(inputs)


def test_the_example_trains_and_goes_on_with_the_same_arrays_alone(tmp_path, capsys):
    results = own_data.main(tmp_path / "run", **QUICK)
    assert results.summary["metric"] == "balanced"
    assert results.summary["task_details"]["network"] == "Network"
    own_data.main(tmp_path / "run", **QUICK)
    called_alike = type("Network", (Smaller,), {})
    inputs, labels = own_data.load_breast_cancer(return_X_y=True)
    for count, network, says in (
        (500, own_data.Network(), "other data (284 + 114 + 171 examples, "),
        (len(labels), "mlp", "other network, by its name (Network, not mlp)"),
        (len(labels), called_alike(), "other network, by the shapes of its variables"),
    ):
        other = jaxloss.make_task(
            inputs[:count], labels[:count], network, own_data.balanced, noise_kind="symmetric", noise_rate=0.5
        )
        with user_error(f"the run in '{tmp_path / 'run'}' was begun with {says}", "or use another workdir"):
            jaxloss.run(jaxloss.config_for(other, QUICK), tmp_path / "run", task=other)
    # Nor is there a command line that could know the arrays.
    assert launch.main(["--config=tests/configs/tiny.py", f"--workdir={tmp_path / 'x'}", "--config.task.name=given"]) == 2
    assert "task.name=given is the task that a program hands over: jaxloss.run" in capsys.readouterr().err


def test_a_feature_that_drowns_the_others_is_named_as_a_run_starts(tmp_path, capsys):
    wide = POINTS * [1, 1, 50, 1]
    says = "column 2 of the inputs has a deviation of "
    # Those of a regression are standardised.
    assert jaxloss.make_task(POINTS, CLASSES, "mlp", "accuracy").remarks == ()
    assert jaxloss.make_task(wide, NUMBERS, "mlp", "r2").remarks == ()
    task = jaxloss.make_task(wide, CLASSES, "mlp", "accuracy")
    jaxloss.run(
        jaxloss.config_for(task, {"mode": "train", "loss": "mae", "comparison.test_seeds": 1}), tmp_path / "run", task=task
    )
    assert says in capsys.readouterr().err


def test_few_examples_are_trained_on_for_a_hundred_steps_at_least():
    def epochs(count, **overrides):
        inputs = np.resize(POINTS, (count, 4))
        task = jaxloss.make_task(inputs, np.arange(count) % 2, "mlp", "accuracy", fractions=(0.5, 0.25, 0.25))
        return jaxloss.config_for(task, overrides).training.num_epochs

    # Batches of 64: one of 45, one of 64, and ten of 64.
    assert [epochs(count) for count in (90, 200, 1280)] == [100.0, 100.0, 30.0]
    assert epochs(200, **{"training.batch_size": 25}) == 30.0
    assert epochs(90, **{"training.num_epochs": 7}) == 7.0


def test_a_config_for_a_regression_has_its_rivals_and_no_key_that_does_nothing(tmp_path):
    task = jaxloss.make_task(POINTS, NUMBERS[:, 0], "mlp", "r2")
    config = jaxloss.config_for(task, {**QUICK, "loss": "huber"})
    assert {"huber", "mse", "welsch"} <= {*config.comparison.handcrafted}
    assert config.space.autoloss_zero.branches == ("regression",)
    assert jaxloss.run(config, tmp_path / "run", task=task).summary["metric"] == "r2"
    with user_error("config key filters.rejection.variable does nothing in this run"):
        jaxloss.run(jaxloss.config_for(task, {"filters.rejection.variable": "logits"}), tmp_path / "other", task=task)
    with user_error("task must be a task, see jaxloss.make_task, not 3"):
        jaxloss.run(config, tmp_path / "other", task=3)
