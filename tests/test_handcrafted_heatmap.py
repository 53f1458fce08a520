"""Hand-crafted losses of heatmaps against NumPy, by values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import LossInputs
from jaxloss.spaces.handcrafted_heatmap import HEATMAP_FAMILIES

NUMBERS = {"weight": 7.0, "temperature": 1.7}
SHAPE = (3, 4, 5)


def inputs(prediction=None):
    """Three maps of which the last is void, and holds nothing that is a number."""
    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=(*SHAPE, 1)) for name in ("prediction", "target")}
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    arrays["offset"] = np.broadcast_to(np.stack([x - 1.3, y - 2.2], axis=-1), (*SHAPE, 2)).copy()
    for array in arrays.values():
        array[-1] = np.nan
    if prediction is not None:
        arrays["prediction"] = prediction
    mask = np.ones((*SHAPE, 1), bool)
    mask[-1] = False
    return LossInputs.create({name: jnp.asarray(one, jnp.float32) for name, one in arrays.items()}, jnp.asarray(mask))


def expected(name, prediction, given):
    """The mean over both maps that count, in float64."""
    target, offset = (np.asarray(given.arrays[one], float)[:2] for one in ("target", "offset"))
    prediction = np.asarray(prediction, float)[:2]
    if name == "mse":
        return ((prediction - target) ** 2).mean()
    if name == "weighted_mse":
        return ((1 + NUMBERS["weight"] * target) * (prediction - target) ** 2).mean()
    total = 0
    for own, way in zip(prediction[..., 0], offset, strict=True):
        shares = np.exp(NUMBERS["temperature"] * own)
        shares /= shares.sum()
        total += abs((shares * way[..., 0]).sum()) + abs((shares * way[..., 1]).sum())
    return total / 2


@pytest.mark.parametrize("name", HEATMAP_FAMILIES)
def test_values_and_gradients_are_those_of_numpy(name):
    family, given = HEATMAP_FAMILIES[name], inputs()
    encoded = family.encode({key: NUMBERS[key] for key in family.tuning_ranges})
    start = given.arrays["prediction"]

    def loss(prediction):
        made = LossInputs.create({**given.arrays, "prediction": prediction}, given.mask)
        return family.loss(encoded, {"heatmap": made})

    value, gradient = jax.jit(jax.value_and_grad(loss))(start)
    np.testing.assert_allclose(value, expected(name, start, given), rtol=1e-5)
    assert np.all(gradient[2] == 0)
    for place in ((0, 1, 2, 0), (1, 3, 4, 0)):
        step = np.zeros(start.shape)
        step[place] = 1e-4
        slope = (expected(name, start + step, given) - expected(name, start - step, given)) / 2e-4
        np.testing.assert_allclose(gradient[place], slope, rtol=2e-3, atol=1e-5)


def test_a_map_that_is_sure_of_the_right_place_costs_nothing():
    prediction = np.full((*SHAPE, 1), -50.0)
    prediction[:, 2, 1] = 50
    given = inputs(prediction)
    at_place = given.arrays["offset"] - given.arrays["offset"][:1, 2:3, 1:2]
    made = LossInputs.create({**given.arrays, "offset": at_place}, given.mask)
    values = HEATMAP_FAMILIES["soft_argmax"].values(made, temperature=jnp.float32(1))
    assert values.shape == (*SHAPE, 1)
    assert mean_loss(values, made) < 1e-6


def test_defaults_are_within_their_ranges():
    for family in HEATMAP_FAMILIES.values():
        assert all(one.low <= one.default <= one.high for one in family.tuning_ranges.values())
