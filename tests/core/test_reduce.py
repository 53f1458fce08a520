"""From unreduced values to one number: the sum over C, the weighted mean over the valid positions."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.reduce import mean_loss, total_loss
from jaxloss.core.types import LossInputs
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.formula import parse
from jaxloss.graphs.interpret import interpret
from jaxloss.graphs.program import Layout, encode
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO
from jaxloss.systems.cse_autoloss.operators import CSE_AUTOLOSS

VALUES = np.arange(16.0).reshape(2, 2, 2, 2)
SUMS = VALUES.sum(-1)


def inputs(mask=None, weights=None):
    return LossInputs.create(
        {"prediction": jnp.asarray(VALUES)},
        None if mask is None else jnp.asarray(mask).reshape(2, 2, 2, 1),
        None if weights is None else jnp.asarray(weights).reshape(2, 2, 2, 1),
    )


def test_sum_over_channels_mean_over_positions(float64):
    assert mean_loss(VALUES, inputs()) == SUMS.mean()
    assert total_loss(VALUES, inputs()) == VALUES.sum()


def test_void_positions_do_not_count(float64):
    mask = np.array([1, 0, 1, 1, 0, 0, 1, 1], bool)
    values = np.where(mask.reshape(2, 2, 2, 1), VALUES, np.nan)
    np.testing.assert_allclose(mean_loss(values, inputs(mask)), SUMS.ravel()[mask].mean())
    np.testing.assert_allclose(total_loss(values, inputs(mask)), SUMS.ravel()[mask].sum())


def test_weights_act_in_the_mean_only(float64):
    mask = np.array([1, 0, 1, 1, 0, 0, 1, 1], bool)
    weights = np.array([0.5, np.nan, 2, 0, 7, 7, 1, 3])
    expected = np.average(SUMS.ravel()[mask], weights=weights[mask])
    np.testing.assert_allclose(mean_loss(VALUES, inputs(mask, weights)), expected)
    assert total_loss(VALUES, inputs(mask, weights)) == SUMS.ravel()[mask].sum()


def test_a_normaliser_is_divided_by_in_place_of_the_weights(float64):
    mask = np.array([1, 0, 1, 1, 0, 0, 1, 1], bool)
    weights = np.array([0.5, 1, 2, 0, 7, 7, 1, 3])
    given = dataclasses.replace(inputs(mask, weights), normaliser=jnp.float64(4))
    np.testing.assert_allclose(mean_loss(VALUES, given), (SUMS.ravel() * weights)[mask].sum() / 4)
    # Where there is none to count, the sum itself.
    none = dataclasses.replace(given, normaliser=jnp.float64(0))
    np.testing.assert_allclose(mean_loss(VALUES, none), (SUMS.ravel() * weights)[mask].sum())
    assert total_loss(VALUES, given) == SUMS.ravel()[mask].sum()


def test_devices_share_what_is_divided_by(float64):
    """Each has its own number of objects; the shares add up to the sum over all, divided by all of them."""
    counts = jnp.array([1.0, 3.0])

    def share(values, count):
        given = LossInputs.create({"prediction": values}, normaliser=count)
        return mean_loss(values, given, "devices")

    shares = jax.vmap(share, axis_name="devices")(jnp.asarray(VALUES)[:, None], counts)
    np.testing.assert_allclose(shares, SUMS.reshape(2, -1).sum(axis=1) / 4)


def test_nothing_valid_is_zero_without_gradient(float64):
    mask = np.zeros(8, bool)
    value, gradient = jax.value_and_grad(lambda values: mean_loss(values, inputs(mask)))(jnp.full_like(VALUES, np.nan))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_gradient_is_spread_over_valid_positions(float64):
    mask = np.array([1, 0, 1, 1, 0, 0, 1, 1], bool)
    gradient = jax.grad(lambda values: mean_loss(values, inputs(mask)))(jnp.asarray(VALUES))
    np.testing.assert_allclose(gradient, np.broadcast_to(mask.reshape(2, 2, 2, 1) / 5, VALUES.shape))


def test_cross_entropy(float64):
    """-(y log p) of two samples with p = (0.7, 0.3) and (0.1, 0.9), the targets being the first and the second class."""
    graph = parse("Neg(Mul(target, Log(prediction)))", AUTOLOSS_ZERO, ("prediction", "target"))
    layout = Layout(AUTOLOSS_ZERO, ("prediction", "target"), 4)
    batch = LossInputs.create(
        {
            "prediction": jnp.array([[0.7, 0.3], [0.1, 0.9]]).reshape(2, 1, 1, 2),
            "target": jnp.eye(2).reshape(2, 1, 1, 2),
        }
    )
    for loss in (compile_graph(graph, AUTOLOSS_ZERO), lambda batch: interpret(encode(graph, layout), layout, batch)):
        # (-log 0.7 - log 0.9) / 2
        np.testing.assert_allclose(mean_loss(loss(batch), batch), 0.23101772979827936, rtol=1e-11)


def test_a_value_per_sample_counts_once(float64):
    """Dot yields one value per sample, which the sum over C must not multiply: cross-entropy of logits (0, log 3) is log 4/3."""
    graph = parse("Neg(Dot(y, Log(Softmax(x))))", CSE_AUTOLOSS, ("x", "y"))
    layout = Layout(CSE_AUTOLOSS, ("x", "y"), 4)
    batch = LossInputs.create(
        {
            "x": jnp.array([0, np.log(3.0)]).reshape(1, 1, 1, 2),
            "y": jnp.array([0.0, 1]).reshape(1, 1, 1, 2),
        }
    )
    compiled = compile_graph(graph, CSE_AUTOLOSS)(batch)
    assert compiled.shape == (1, 1, 1, 1)
    for values in (compiled, interpret(encode(graph, layout), layout, batch)):
        np.testing.assert_allclose(mean_loss(values, batch), np.log(4 / 3), rtol=1e-12)
        np.testing.assert_allclose(total_loss(values, batch), np.log(4 / 3), rtol=1e-12)


@pytest.mark.parametrize("values", [SUMS, VALUES[:, 0, 0], VALUES[:1], VALUES[..., 0]])
def test_values_of_other_positions_are_not_broadcast(values):
    """`[N]` against a mask `[N, 1, 1, 1]` would give `[N, 1, 1, N]`."""
    for reduce in (mean_loss, total_loss):
        with pytest.raises(AssertionError, match="Chex"):
            reduce(values, inputs())
