"""Networks that compute in bfloat16: parameters, statistics, loss inputs and scores."""

import functools

import jax
import numpy as np
import pytest

from jaxloss.config import default_config
from jaxloss.config.wiring import make_task
from jaxloss.core.errors import UserError
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.classification import BRANCH, make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training

SMALL = {
    "mlp": {"features": (16,)},
    "small_cnn": {"features": (3, 4)},
    "resnet20": {"features": (2, 3, 4), "depth": 8},
}


@functools.cache
def task_with(model, precision):
    return make_classification(ClassificationSettings("digits", model=model, model_options=SMALL[model], precision=precision))


def dtypes(tree):
    return {str(leaf.dtype) for leaf in jax.tree.leaves(tree)}


@pytest.mark.parametrize("model", SMALL)
def test_only_the_network_computes_in_bfloat16(model):
    for precision in ("float32", "bfloat16"):
        task = task_with(model, precision)
        variables = jax.eval_shape(task.init, jax.random.key(0))
        batch = jax.tree.map(lambda array: array[:4], task.data["train"])
        branches, updated = jax.eval_shape(task.forward, variables, batch, jax.random.key(1))
        assert dtypes(variables) == dtypes(updated) == {"float32"}
        assert dtypes(branches[BRANCH].arrays) == dtypes(branches[BRANCH].weights) == {"float32"}
        used = "bf16" in str(jax.make_jaxpr(task.forward)(variables, batch, jax.random.key(1)))
        assert used == (precision == "bfloat16")
        assert task.details["precision"] == precision


def test_a_training_in_bfloat16_scores_as_in_float32():
    cross_entropy = family("cross_entropy")
    outcomes = []
    for precision in ("float32", "bfloat16"):
        task = task_with("mlp", precision)
        training = Training(task, cross_entropy, TrainingSettings(num_epochs=6.0))
        outcomes.append(training.run(cross_entropy.encode({}), 0.1, 0, task.data, SEARCH_EVAL, keep_end=True))
    exact, rough = outcomes
    assert exact.finite
    assert rough.finite
    assert exact.steps == rough.steps
    assert rough.score == pytest.approx(exact.score, abs=0.03)
    assert dtypes(rough.end.variables) == {"float32"}
    kernels = [jax.tree.leaves(outcome.end.variables["params"])[0] for outcome in outcomes]
    assert (np.asarray(kernels[0]) != np.asarray(kernels[1])).any(), "bfloat16 was not used"


def test_precision_is_a_key_of_the_config():
    config = default_config()
    config.task.classification.precision = "bfloat16"
    assert make_task(config).details["precision"] == "bfloat16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": "bfloat"}, "unknown task.classification.precision 'bfloat'. Did you mean 'bfloat16'"),
        ({"model_options": {"dtype": "bfloat16"}}, "task.classification.precision"),
    ],
)
def test_settings_that_cannot_be(arguments, message):
    with pytest.raises(UserError, match=message) as error:
        make_classification(ClassificationSettings("digits", **arguments))
    assert "\n" not in str(error.value)
