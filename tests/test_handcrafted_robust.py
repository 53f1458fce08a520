"""Hand-crafted losses for wrong labels: against NumPy and SciPy, near their limits, at extremes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special

import jaxloss
from jaxloss.core.types import LossInputs
from jaxloss.spaces.families import family
from jaxloss.spaces.handcrafted_robust import ROBUST_FAMILIES

PRIOR = np.array([0.5, 0.3, 0.15, 0.05])


def batch(num_samples=12):
    random = np.random.default_rng(0)
    return random.normal(scale=2, size=(num_samples, 4)), random.integers(0, 4, num_samples)


def inputs_of(logits, labels):
    arrays = {"logits": logits, "target": np.eye(4)[labels], "prior": np.broadcast_to(PRIOR, logits.shape)}
    return LossInputs.create({name: jnp.asarray(array, jnp.float32)[:, None, None] for name, array in arrays.items()})


def loss(name, logits, labels, **numbers):
    one = family(name)
    return jax.jit(one.loss)(one.encode({**one.defaults, **numbers}), {"": inputs_of(logits, labels)})


def test_normalised_and_reverse_cross_entropy_are_those_of_the_paper():
    logits, labels = batch()
    log_p = scipy.special.log_softmax(logits, axis=1)
    rows = np.arange(len(labels))
    normalised = (log_p[rows, labels] / log_p.sum(axis=1)).mean()
    # RCE as a sum over classes, log 0 = -4 for all but the label.
    reverse = -(np.exp(log_p) * np.where(np.eye(4)[labels] > 0, 0, -4)).sum(axis=1).mean()
    assert float(loss("nce_rce", logits, labels, alpha=3.0, beta=0.5)) == pytest.approx(3 * normalised + reverse / 2, rel=1e-5)


def test_normalised_cross_entropy_of_all_labels_sums_to_one():
    logits = np.repeat(batch(1)[0], 4, axis=0)
    total = 4 * float(loss("nce_rce", logits, np.arange(4), alpha=1.0, beta=1.0))
    assert total == pytest.approx(1 + 4 * 3, rel=1e-5)  # RCE's sum is 4 (C - 1)


def test_confidence_regularised_cross_entropy_is_the_mean_of_the_peer_loss():
    """Over the labels of all peers, of which so many are of each class as the prior says."""
    logits, labels = batch()
    log_p = scipy.special.log_softmax(logits, axis=1)
    peers = np.repeat(np.arange(4), np.round(100 * PRIOR).astype(int))
    expected = np.mean([-one[label] + 1.5 * one[peers].mean() for one, label in zip(log_p, labels, strict=True)])
    assert float(loss("cores", logits, labels, beta=1.5)) == pytest.approx(expected, rel=1e-5)


def test_with_equal_weights_it_is_the_divergence_of_scipy():
    logits, labels = batch()
    p = scipy.special.softmax(logits, axis=1)
    distances = [scipy.spatial.distance.jensenshannon(one, y) for one, y in zip(p, np.eye(4)[labels], strict=True)]
    expected = np.mean(np.square(distances)) / (0.5 * np.log(2))
    assert float(loss("jensen_shannon", logits, labels, weight=0.5)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weight", [0.05, 0.3, 0.95])
def test_any_weights_are_those_of_the_definition_by_entropies(weight):
    logits, labels = batch()
    p, y = scipy.special.softmax(logits, axis=1), np.eye(4)[labels]
    mixed = scipy.stats.entropy(weight * y + (1 - weight) * p, axis=1)
    expected = np.mean(mixed - (1 - weight) * scipy.stats.entropy(p, axis=1)) / (-(1 - weight) * np.log(1 - weight))
    assert float(loss("jensen_shannon", logits, labels, weight=weight)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("weight", "other", "factor"), [(1e-4, "cross_entropy", 1.0), (1 - 1e-5, "mae", 0.5)])
def test_its_limits_are_cross_entropy_and_the_mean_absolute_error(weight, other, factor):
    logits, labels = batch()
    value = float(loss("jensen_shannon", logits, labels, weight=weight))
    # The way to the mean absolute error goes with a logarithm.
    assert value == pytest.approx(factor * float(loss(other, logits, labels)), rel=0.01 if factor == 1 else 0.1)


@pytest.mark.parametrize("name", ROBUST_FAMILIES)
@pytest.mark.parametrize("scale", [0.0, 30.0, 1e4])
def test_values_and_gradients_are_finite_at_extremes(name, scale):
    logits, labels = batch()
    one, given = family(name), inputs_of(scale * np.sign(logits), labels)

    def of_logits(x, encoded):
        return one.loss(encoded, {"": dataclasses.replace(given, arrays={**given.arrays, "logits": x})})

    differentiated = jax.jit(jax.value_and_grad(of_logits))
    for edge in ("low", "high"):
        numbers = {key: getattr(span, edge) for key, span in one.tuning_ranges.items()}
        value, gradient = differentiated(given.arrays["logits"], one.encode(numbers))
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_they_are_rivals_of_a_search_and_losses_of_the_package():
    logits, labels = batch()
    config = jaxloss.load_config("quickstart")
    assert {"nce_rce", "jensen_shannon"} <= set(config.comparison.handcrafted)
    value = jaxloss.loss("jensen_shannon", weight=0.5)(logits, np.eye(4)[labels])
    assert float(value) == pytest.approx(float(loss("jensen_shannon", logits, labels)), rel=1e-6)
