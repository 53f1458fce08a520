"""Hand-crafted losses for unequal classes: against NumPy, at extremes, on two devices, and in a comparison."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import jaxloss
from jaxloss import launch
from jaxloss.core.types import LossInputs
from jaxloss.spaces.families import FAMILIES, family
from jaxloss.spaces.handcrafted_imbalance import IMBALANCE_FAMILIES

COUNTS = np.array([500, 120, 30, 4])
NUMBERS = {"saturation": 6.0, "tau": 1.3, "margin": 0.6, "scale": 4.0, "alpha": 0.3}


def batch(seed=0, num_samples=12):
    """Logits, labels without class 2, and the frequencies of four classes."""
    random = np.random.default_rng(seed)
    return random.normal(scale=2, size=(num_samples, 4)), random.choice([0, 1, 3], num_samples), COUNTS / COUNTS.sum()


def inputs_of(logits, labels, prior, **rest):
    arrays = {"logits": logits, "target": np.eye(4)[labels], "prior": np.broadcast_to(prior, logits.shape)}
    return LossInputs.create({name: jnp.asarray(array, jnp.float32)[:, None, None] for name, array in arrays.items()}, **rest)


def encoded(name, **numbers):
    ranges = family(name).tuning_ranges
    return family(name).encode({key: numbers.get(key, NUMBERS[key]) for key in ranges})


def loss(name, inputs, **numbers):
    return jax.jit(family(name).loss)(encoded(name, **numbers), {"": inputs})


def cross_entropy(logits, labels):
    return -scipy.special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels]


def reference(name, logits, labels, prior):
    """Each as its paper has it, sample by sample, with numbers of examples where the paper has those."""
    if name == "weighted_cross_entropy":
        weights = COUNTS.sum() / (len(COUNTS) * COUNTS)  # scikit-learn's class_weight='balanced'
        return (weights[labels] * cross_entropy(logits, labels)).mean()
    if name == "class_balanced":
        beta = np.exp(-NUMBERS["saturation"] / COUNTS.sum())
        weights = (1 - beta) / (1 - beta**COUNTS)
        weights /= weights @ prior
        return (weights[labels] * cross_entropy(logits, labels)).mean()
    if name == "balanced_softmax":
        raised = COUNTS * np.exp(logits)
        return -np.log(raised[np.arange(len(labels)), labels] / raised.sum(axis=1)).mean()
    if name == "logit_adjustment":
        return cross_entropy(logits + NUMBERS["tau"] * np.log(prior), labels).mean()
    if name == "ldam":
        margins = 1 / COUNTS**0.25
        margins *= NUMBERS["margin"] / margins.max()
        moved = logits.copy()
        moved[np.arange(len(labels)), labels] -= margins[labels]
        return cross_entropy(NUMBERS["scale"] * moved, labels).mean()
    assert name == "soft_f1"
    p, y = scipy.special.softmax(logits, axis=1), np.eye(4)[labels]
    right, wrong, missed = (p * y).sum(0), (p * (1 - y)).sum(0), ((1 - p) * y).sum(0)
    index = right / (right + NUMBERS["alpha"] * wrong + (1 - NUMBERS["alpha"]) * missed)
    return 1 - index[np.unique(labels)].mean()


@pytest.mark.parametrize("name", IMBALANCE_FAMILIES)
def test_losses_are_those_of_the_papers(name):
    given = batch()
    assert float(loss(name, inputs_of(*given))) == pytest.approx(reference(name, *given), rel=1e-5)
    # Void positions change nothing, whatever they hold.
    logits, labels, prior = given
    longer = np.concatenate([logits, np.full((1, 4), np.nan)]), np.append(labels, 2), prior
    mask = jnp.asarray(np.arange(len(labels) + 1) < len(labels))[:, None, None, None]
    value, gradient = jax.value_and_grad(
        lambda logits: loss(name, inputs_of(logits, *longer[1:], mask=mask, weights=jnp.ones(mask.shape)))
    )(jnp.asarray(longer[0]))
    assert float(value) == pytest.approx(reference(name, *given), rel=1e-5)
    assert np.isfinite(gradient).all()
    assert not np.asarray(gradient[-1]).any()


@pytest.mark.parametrize("name", [*IMBALANCE_FAMILIES, "focal"])
def test_gradients_are_finite_at_extremes(name):
    spread = np.array([[200.0, -200, 0, 0], [-200, 200, 0, 0], [0, 0, 0, 0], [1e4, 1e4, -1e4, 0]])
    labels = np.array([0, 0, 3, 2])
    numbers = [family(name).defaults]
    numbers += [{key: getattr(span, end) for key, span in family(name).tuning_ranges.items()} for end in ("low", "high")]

    @jax.jit
    @jax.value_and_grad
    def outcome(logits, encoded, arrays):
        return family(name).loss(encoded, {"": LossInputs.create({**arrays, "logits": logits})})

    for prior in ([0.25] * 4, [1.0, 0, 0, 0], [1 - 3e-7, 1e-7, 1e-7, 1e-7]):
        for given in numbers:
            arrays = dict(inputs_of(spread, labels, np.array(prior)).arrays)
            value, gradient = outcome(arrays["logits"], family(name).encode(given), arrays)
            assert np.isfinite(value), (prior, given)
            assert np.isfinite(gradient).all(), (prior, given)


def test_what_is_equal_to_what():
    given, (logits, labels, _) = inputs_of(*batch()), batch()
    equal = inputs_of(logits, labels, np.full(4, 0.25))
    plain = float(FAMILIES["cross_entropy"].loss({}, {"": given}))
    for name in ("weighted_cross_entropy", "class_balanced", "balanced_softmax", "logit_adjustment"):
        assert float(loss(name, equal)) == pytest.approx(plain, rel=1e-5)
        assert float(loss(name, given)) != pytest.approx(plain, rel=0.02)
    assert float(loss("balanced_softmax", given)) == pytest.approx(float(loss("logit_adjustment", given, tau=1.0)), rel=1e-6)
    inverse = float(loss("weighted_cross_entropy", given))
    assert float(loss("class_balanced", given, saturation=1e-3)) == pytest.approx(inverse, rel=1e-2)
    assert float(loss("class_balanced", given, saturation=1e5)) == pytest.approx(plain, rel=1e-5)
    assert float(loss("ldam", given, margin=0.0, scale=1.0)) == pytest.approx(plain, rel=1e-6)


@pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")
def test_the_batch_of_soft_f1_is_that_of_all_devices():
    logits, labels, _ = batch(num_samples=12)
    labels = np.sort(labels)  # so that the devices hold other classes

    def share(logits, target, axis_name):
        arrays = {"logits": logits[:, None, None], "target": target[:, None, None]}
        return family("soft_f1").loss(encoded("soft_f1"), {"": LossInputs.create(arrays)}, axis_name)

    logits, target = jnp.asarray(logits, jnp.float32), jnp.eye(4)[labels]
    value, gradient = jax.jit(jax.value_and_grad(lambda logits, target: share(logits, target, None)))(logits, target)
    mapped = jax.pmap(
        jax.value_and_grad(lambda logits, target: share(logits, target, "devices")), "devices", devices=jax.devices()[:2]
    )
    shares, gradients = mapped(logits.reshape(2, 6, 4), target.reshape(2, 6, 4))
    assert float(shares.sum()) == pytest.approx(float(value), rel=1e-6)
    np.testing.assert_allclose(gradients.reshape(12, 4), gradient, rtol=1e-4, atol=1e-7)


def test_they_are_public_functions():
    logits, labels, prior = batch()
    adjusted = jaxloss.loss("logit_adjustment", tau=1.3)
    given = logits, np.eye(4)[labels], np.tile(prior, (len(labels), 1))
    assert float(adjusted(*given)) == pytest.approx(reference("logit_adjustment", logits, labels, prior), rel=1e-5)


@pytest.mark.slow
def test_they_are_compared_and_tuned_alike(tmp_path, capsys):
    names = ("cross_entropy", "logit_adjustment", "soft_f1")
    overrides = {
        "mode": "compare",
        "losses": str(names),
        "task.name": "classification",
        "task.classification.model_options.features": "(8,)",
        "task.classification.imbalance_ratio": "30.0",
        "task.classification.metric": "mean_class_accuracy",
        "training.num_epochs": "6.0",
        "comparison.tuning_trainings": "4",
        "comparison.tuning_seeds": "1",
        "comparison.test_seeds": "1",
    }
    arguments = ["--config=tests/configs/tiny.py", f"--workdir={tmp_path}"]
    assert launch.main(arguments + [f"--config.{key}={value}" for key, value in overrides.items()]) == 0, capsys.readouterr()
    rows = {row["name"]: row for row in jaxloss.open_run(tmp_path).comparison().to_dict("records")}
    assert set(rows) == set(names)
    scores = {name: row["tuned"]["test_means"]["mean_class_accuracy"] for name, row in rows.items()}
    assert len(set(scores.values())) == 3
    assert max(scores.values()) > scores["cross_entropy"]


def test_a_task_without_a_prior_is_named(tmp_path, capsys):
    arguments = ["--config=tests/configs/tiny.py", f"--workdir={tmp_path / 'run'}", "--config.mode=train"]
    assert launch.main([*arguments, "--config.loss=ldam"]) == 2
    assert "the hand-crafted loss 'ldam' needs the input 'prior'" in capsys.readouterr().err
