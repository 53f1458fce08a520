"""Hand-crafted losses of regression against NumPy and against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.types import LossInputs
from jaxloss.spaces.handcrafted_regression import REGRESSION_FAMILIES

NUMBERS = {"delta": 0.7, "scale": 0.6, "tau": 0.3}
ERRORS = np.array([[-3.0, 0.2], [0.01, 40.0], [0.5, -0.69]])
EXPECTED = {
    "absolute_error": lambda e: np.abs(e),
    "huber": lambda e: np.where(np.abs(e) < 0.7, e**2 / 2, 0.7 * (np.abs(e) - 0.35)),
    "log_cosh": lambda e: 0.36 * np.log(np.cosh(e / 0.6)),
    "cauchy": lambda e: 0.18 * np.log(1 + (e / 0.6) ** 2),
    "welsch": lambda e: 0.18 * (1 - np.exp(-((e / 0.6) ** 2))),
    "quantile": lambda e: np.where(e < 0, -0.3 * e, 0.7 * e),
}


def loss(name, prediction, target=0.0):
    shape = (len(prediction), 1, 1, prediction.shape[1])
    arrays = {"prediction": jnp.reshape(prediction, shape), "target": jnp.full(shape, target)}
    family = REGRESSION_FAMILIES[name]
    return family.loss(family.encode({key: NUMBERS[key] for key in family.tuning_ranges}), {"": LossInputs.create(arrays)})


@pytest.mark.parametrize("name", REGRESSION_FAMILIES)
def test_values_and_gradients_are_those_of_numpy(name):
    value, gradient = jax.value_and_grad(lambda errors: loss(name, errors + 1.5, 1.5))(jnp.asarray(ERRORS, jnp.float32))
    np.testing.assert_allclose(value, EXPECTED[name](ERRORS).sum(axis=1).mean(), rtol=1e-4)
    step = 1e-5
    slope = (EXPECTED[name](ERRORS + step) - EXPECTED[name](ERRORS - step)) / (2 * step) / len(ERRORS)
    np.testing.assert_allclose(gradient, slope, rtol=1e-3, atol=1e-5)
