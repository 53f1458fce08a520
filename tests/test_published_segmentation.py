"""The losses that were published for semantic segmentation: their formulas against NumPy, and the metrics they were found for."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxloss.core.types import LossInputs
from jaxloss.systems.autoloss_zero.published import METRIC_OF_LOSS
from jaxloss.systems.registry import PUBLISHED, SYSTEMS
from jaxloss.tasks.metrics.segmentation.boundary_rule import PAPERS_RULE
from jaxloss.tasks.metrics.segmentation.registry import METRICS
from jaxloss.tasks.metrics.segmentation.training_targets import CUSTOMARY, training_target
from tests.segmentation_metrics.reference import VOID, blobs

SYSTEM = SYSTEMS["autoloss_zero"]
SPACE = SYSTEM.make_space(SYSTEM.settings())
(BRANCH,) = SPACE.branches
NUM_CLASSES, SHAPE = 5, (2, 9, 12)
EPSILON = 1e-12


def log(x):
    """Table 1 of the paper: `sign(x) log(|x| + eps)`."""
    return np.sign(x) * np.log(np.abs(x) + EPSILON)


def sqrt(x):
    return np.sign(x) * np.sqrt(np.abs(x) + EPSILON)


def largest(x, valid):
    """Maximum over the valid part of each 3 x 3 window of `[N, H, W, C]`, 0 where void."""
    found = ndimage.maximum_filter(np.where(valid, x, -np.inf), (1, 3, 3, 1), mode="constant", cval=-np.inf)
    return np.where(valid, found, 0)


def mean(x, valid):
    """Mean over N, H and W."""
    return np.broadcast_to(np.mean(x, axis=(0, 1, 2), keepdims=True, where=valid), x.shape)


# Loss -> the formula as the table has it, of target y, prediction p and what is valid.
FORMULAS = {
    "autoloss_zero_miou": lambda y, p, v: -0.5 * log(np.tanh(y / (1 + y) * sqrt(p)) * (p**2 + y)),
    "autoloss_zero_fwiou": lambda y, p, v: log(y * log(y + (y + p) / p)),
    "autoloss_zero_global_accuracy": lambda y, p, v: np.exp((y - sqrt(p)) ** 2),
    "autoloss_zero_macc": lambda y, p, v: np.tanh(sqrt(mean(-log(p) * sqrt(largest(sqrt(y * p), v)), v))),
    "autoloss_zero_biou": lambda y, p, v: -log(p**3 * y * sqrt(largest(p, v) * np.exp((p * np.exp(p)) ** 2))),
    "autoloss_zero_bf1": lambda y, p, v: np.exp(mean(-largest(y, v) * log(largest(p, v)), v) + np.tanh(mean(2 * p + 1, v))),
}


def batch(name, dtype=np.float64):
    """Probabilities, the training target of the metric, and the mask; class 4 is absent, and a part is void."""
    labels = blobs(3, SHAPE, NUM_CLASSES - 1, void=0.2)
    target, mask = training_target(jnp.asarray(labels), NUM_CLASSES, CUSTOMARY[METRIC_OF_LOSS[name]], PAPERS_RULE)
    prediction = np.random.default_rng(4).dirichlet(np.ones(NUM_CLASSES), SHAPE)
    assert (labels == VOID).any()
    assert not np.asarray(target)[..., 4].any()
    return prediction.astype(dtype), np.asarray(target, dtype), np.asarray(mask)


def test_each_metric_of_the_paper_has_its_loss():
    assert set(FORMULAS) == set(METRIC_OF_LOSS) <= set(PUBLISHED)
    assert sorted(METRIC_OF_LOSS.values()) == sorted(METRICS)


@pytest.mark.parametrize("name", FORMULAS)
def test_values_are_those_of_the_table(name):
    with jax.enable_x64(True):
        prediction, target, mask = batch(name)
        candidate = SPACE.parse(PUBLISHED[name])
        assert SPACE.key(SPACE.parse(SPACE.write(candidate))) == SPACE.key(candidate)
        inputs = LossInputs.create({"prediction": jnp.asarray(prediction), "target": jnp.asarray(target)}, jnp.asarray(mask))
        found = jax.jit(SPACE.compile(candidate))({BRANCH.name: inputs})
        values = np.where(mask, FORMULAS[name](target, prediction, mask), 0)
        assert float(found) == pytest.approx(values.sum() / mask.sum(), rel=1e-10)


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_gradients_are_finite_and_the_gradient_reaches_valid_positions_alone(name):
    prediction, target, mask = batch(name, np.float32)
    inputs = LossInputs.create({"prediction": jnp.asarray(prediction), "target": jnp.asarray(target)}, jnp.asarray(mask))
    loss = SPACE.compile(SPACE.parse(PUBLISHED[name]))

    @jax.jit
    @jax.value_and_grad
    def outcome(prediction):
        return loss({BRANCH.name: dataclasses.replace(inputs, arrays={**inputs.arrays, "prediction": prediction})})

    value, gradient = outcome(jnp.asarray(prediction))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert not np.asarray(gradient)[~mask[..., 0]].any()
    # A step down the gradient lowers the loss.
    step = 1e-3 * gradient / jnp.abs(gradient).max()
    assert float(outcome(jnp.asarray(prediction) - jnp.clip(step, -prediction / 2, None))[0]) < float(value)
