"""Void positions: what they hold reaches neither the loss nor the gradient anywhere else, and they get no gradient."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.graphs.formula import parse
from tests.core import forms
from tests.core.random_graphs import FLAT, SETTINGS, SPATIAL, Batch, random_batch, random_graphs

ZERO = SETTINGS["autoloss_zero"]


def with_void(batch: Batch, garbage: float) -> Batch:
    arrays = {name: np.where(batch.mask, array, garbage).astype(array.dtype) for name, array in batch.arrays.items()}
    return dataclasses.replace(batch, arrays=arrays)


def valid_part(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask, values, 0)


@pytest.mark.parametrize("form", [forms.population, forms.compiled], ids=["population", "compiled"])
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_void_values_change_nothing(float64, setting, form):
    graphs = random_graphs(1, setting, 60 if form is forms.population else 5)
    batch = random_batch(2, setting, SPATIAL if setting is ZERO else FLAT, masked=True)
    values, gradients = form(graphs, setting, with_void(batch, 0.3))
    for garbage in (np.nan, -np.inf, 1e300):
        other_values, other_gradients = form(graphs, setting, with_void(batch, garbage))
        np.testing.assert_array_equal(valid_part(values, batch.mask), valid_part(other_values, batch.mask))
        for name, gradient in gradients.items():
            np.testing.assert_array_equal(gradient, other_gradients[name])
            assert not np.where(batch.mask, 0, other_gradients[name]).any()


FORMS = {"population": forms.population, "mapped": forms.mapped, "compiled": forms.compiled}


@pytest.mark.parametrize(
    "form", [pytest.param(form, id=name, marks=pytest.mark.slow if name == "mapped" else ()) for name, form in FORMS.items()]
)
@pytest.mark.parametrize("aggregation", ["Mean_nhw", "MaxPool3x3", "MinPool3x3"])
def test_infinite_slopes_at_void_positions_stay_there(float64, aggregation, form):
    """Whatever the filler is, some graph overflows on it; the zero cotangent times that slope is NaN.

    Here: exp(1 / (x - 1/2)^2) has its pole at the filler, and a mean or a pooled value is multiplied with it.
    """
    pole = "Exp(Square(Inv(Add(prediction, Neg(Inv(Add(1, 1)))))))"
    graph = parse(f"Mul({aggregation}(prediction), {pole})", ZERO.layout.operators, ZERO.layout.inputs)
    batch = random_batch(3, ZERO, SPATIAL, masked=True)
    prediction = np.random.default_rng(4).uniform(0.7, 0.9, SPATIAL)
    batch = dataclasses.replace(batch, arrays={"prediction": prediction, "target": np.ones(SPATIAL)})
    _, gradients = form([graph], ZERO, batch)
    assert np.isfinite(gradients["prediction"]).all()
    assert gradients["prediction"].any()


def test_all_void_is_finite(float64):
    graphs = random_graphs(5, ZERO, 60)
    batch = dataclasses.replace(random_batch(6, ZERO, SPATIAL, masked=False), mask=np.zeros((*SPATIAL[:-1], 1), bool))
    _, gradients = forms.population(graphs, ZERO, batch)
    assert not any(gradient.any() for gradient in gradients.values())


def test_a_mask_is_like_a_smaller_batch(float64):
    """Void samples leave the means of the others as if they were absent."""
    graph = parse("Exp(Mean_nhw(Mul(target, prediction)))", ZERO.layout.operators, ZERO.layout.inputs)
    batch = random_batch(7, ZERO, FLAT, masked=False)
    kept = np.array([0, 2, 3])
    mask = np.isin(np.arange(len(batch.mask)), kept).reshape(-1, 1, 1, 1)
    values, gradients = forms.compiled([graph], ZERO, dataclasses.replace(batch, mask=mask))
    smaller = Batch({k: v[kept] for k, v in batch.arrays.items()}, batch.mask[kept], batch.cotangent[kept])
    smaller_values, smaller_gradients = forms.compiled([graph], ZERO, smaller)
    np.testing.assert_allclose(values[0, kept], smaller_values[0], rtol=1e-14)
    np.testing.assert_allclose(gradients["prediction"][0, kept], smaller_gradients["prediction"][0], rtol=1e-14)
    assert jnp.all(gradients["prediction"][0, ~mask[:, 0, 0, 0]] == 0)
