"""The loss of a theta against Eq. 10, 16 and 17 in NumPy, and the hand-crafted losses that belong to the space."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss.core.errors import UserError
from jaxloss.spaces.families import FAMILIES
from jaxloss.symbolic.reading import own_python, reading_of
from jaxloss.systems.am_lfs.form import as_theta
from jaxloss.systems.am_lfs.members import MEMBERS, approximation_error, fitted
from jaxloss.systems.am_lfs.settings import AMLFSSettings
from jaxloss.systems.am_lfs.space import am_lfs
from tests.am_lfs.losses import COSINE_FORM, FORM, SPACE, inputs_of, reference, samples
from tests.errors import user_error

LOGITS = samples(-12, 12)
COSINES = samples(-1, 1, seed=1)


def values_and_gradient(form, theta, name, similarity, labels):
    inputs = inputs_of(name, similarity, labels)

    def total(x):
        values = form.values(form.encode(theta), dataclasses.replace(inputs, arrays={**inputs.arrays, name: x}))[:, 0, 0, 0]
        return values.sum(), values

    gradient, values = jax.jit(jax.grad(total, has_aux=True))(inputs.arrays[name])
    return np.asarray(values), np.asarray(gradient)[:, 0, 0]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"outside": "clamp", "tau_ceiling": "clamp"},
        {"borders": "lower", "tau_floor": 0.1},
        {"num_intervals": 3, "scale": 5.0},
    ],
)
def test_a_loss_has_the_values_of_the_equations(changes):
    for similarity, (given, labels) in (("logits", LOGITS), ("cosine", COSINES)):
        settings = AMLFSSettings(**{**changes, "similarity": similarity})
        space = am_lfs(settings)
        form = space.branches[0].form
        theta = space.sample(np.random.default_rng(3), space.branches[0])
        found = jax.jit(form.values)(form.encode(theta), inputs_of(similarity, given, labels))[:, 0, 0, 0]
        wanted, _ = reference(theta, given, labels, settings)
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4)


def test_the_start_is_plain_softmax_also_where_p_is_too_small_for_float32():
    logits, labels = samples(-60, 60, seed=2)
    logits[0], labels[0] = [200, 0, 0, 0, 0], 1
    theta = FORM.parse(am_lfs().known_losses["softmax"])
    values, gradient = values_and_gradient(FORM, theta, "logits", logits, labels)
    family, inputs = FAMILIES["cross_entropy"], inputs_of("logits", logits, labels)
    wanted = jax.jit(family.values)(inputs)[:, 0, 0, 0]
    np.testing.assert_allclose(values, wanted, rtol=1e-6, atol=1e-6)
    slopes = jax.jit(jax.grad(lambda x: family.values(inputs_of("logits", x, labels)).sum()))(jnp.asarray(logits))
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-6)
    assert values[0] == 200


def test_a_margin_is_the_hand_crafted_loss_of_the_house():
    """CosFace is linear: to rounding. ArcFace bends: as near as its curve is fitted."""
    cosine, labels = COSINES
    for name, numbers, tolerance in (("cosface", {"margin": 0.35}, 1e-4), ("arcface", {"margin": 0.5}, None)):
        theta = as_theta(fitted(MEMBERS[name], 6))
        values, _ = values_and_gradient(COSINE_FORM, theta, "cosine", cosine, labels)
        family = FAMILIES[name]
        values_of = jax.jit(lambda inputs, numbers=numbers, family=family: family.values(inputs, log2_s=4.0, **numbers))
        wanted = values_of(inputs_of("cosine", cosine, labels))[:, 0, 0, 0]
        # A loss moves by the scale times what its curve moves by, at most.
        within = tolerance or 16 * approximation_error(MEMBERS[name], np.array(theta))["t"]
        assert np.abs(values - wanted).max() <= within


def test_focal_loss_is_near_and_nearer_with_more_intervals():
    """Eq. 5 and 6 by hand: `-log(p) (1 - p)^2`."""
    logits, labels = samples(-2, 2, seed=4)
    errors = []
    for count in (3, 6, 24):
        space = am_lfs(AMLFSSettings(num_intervals=count))
        form = space.branches[0].form
        values, _ = values_and_gradient(form, form.parse(space.known_losses["focal"]), "logits", logits, labels)
        _, p = reference(np.array([[1.0], [0.0], [1.0], [0.0]]), logits, labels, AMLFSSettings(num_intervals=1))
        errors.append(np.sqrt(np.mean((values + np.log(p) * (1 - p) ** 2) ** 2)))
    assert errors[0] > errors[1] > errors[2]
    # Where p is below the floor of tau, too.
    assert errors[1] < 0.12


def test_approximation_errors_fall_with_the_number_of_intervals():
    assert approximation_error(MEMBERS["softmax"], fitted(MEMBERS["softmax"], 6)) == dict.fromkeys(
        ("t", "t_mean", "log_tau", "log_tau_mean"), 0.0
    )
    for name, part in (("arcface", "t_mean"), ("l_softmax", "t_mean"), ("focal", "log_tau_mean")):
        errors = [approximation_error(MEMBERS[name], fitted(MEMBERS[name], count))[part] for count in (3, 6, 10)]
        assert errors[0] > errors[1] > errors[2]
        assert errors[1] < 0.06


def test_the_gradient_is_that_of_equation_8():
    """`(1 - p) t'` for plain tau: the slope of its interval."""
    logits, labels = samples(-12, 12, seed=5)
    theta = np.array([[0.5, 1.5, 0.7, 1.2, 0.3, 0.9], np.zeros(6), np.ones(6), np.zeros(6)])
    _, gradient = values_and_gradient(FORM, as_theta(theta), "logits", logits, labels)
    _, p = reference(theta, logits, labels)
    own = logits[np.arange(len(labels)), labels] / 16
    slopes = theta[0, np.clip(np.floor((own + 1) * 3), 0, 5).astype(int)]
    np.testing.assert_allclose(-gradient[np.arange(len(labels)), labels], (1 - p) * slopes, rtol=1e-4, atol=1e-6)


def test_a_border_belongs_to_the_interval_that_the_settings_say():
    theta = np.array([np.ones(6), np.arange(6.0), np.ones(6), np.zeros(6)])
    for borders, index in (("upper", 3), ("lower", 2)):
        space = am_lfs(AMLFSSettings(similarity="cosine", borders=borders, scale=1.0))
        form = space.branches[0].form
        values, _ = values_and_gradient(form, as_theta(theta), "cosine", np.array([[0.0, 0.0]], np.float32), [0])
        np.testing.assert_allclose(values, np.log1p(np.exp(0.0 - index)), rtol=1e-6)


def test_below_the_floor_a_sample_has_no_gradient_and_nothing_is_nan():
    theta = np.array([np.ones(6), np.zeros(6), np.ones(6), -np.ones(6)])
    values, gradient = values_and_gradient(FORM, as_theta(theta), "logits", *LOGITS)
    np.testing.assert_allclose(values, -np.log(0.01), rtol=1e-6)
    assert not gradient.any()


def test_a_falling_curve_is_made_flat():
    theta = np.array([-np.ones(6), np.zeros(6), np.ones(6), np.zeros(6)])
    _, gradient = values_and_gradient(FORM, as_theta(theta), "logits", *LOGITS)
    labels = LOGITS[1]
    assert not gradient[np.arange(len(labels)), labels].any()


@pytest.mark.parametrize("similarity", ["logits", "cosine"])
def test_what_is_exported_is_the_loss(similarity):
    given, labels = LOGITS if similarity == "logits" else COSINES
    space = am_lfs(AMLFSSettings(similarity=similarity))
    (branch,) = space.branches
    thetas = [space.sample(np.random.default_rng(seed), branch) for seed in (0, 1)]
    inputs, target = inputs_of(similarity, given, labels), np.eye(5, dtype=np.float32)[labels]
    values = jax.jit(branch.form.values)
    wanted = [float(values(branch.form.encode(one), inputs).mean()) for one in thetas]
    candidates = [{branch.name: one} for one in thetas]
    module, schedule = {}, {}
    exec(own_python(reading_of(space, candidates[0]), 'A "loss".'), module)
    np.testing.assert_allclose(module["loss"](given, target), wanted[0], rtol=1e-5)
    exec(space.distribution.write_schedule(list(zip((1.0, 2.0), candidates, strict=True)), "A schedule."), schedule)
    scheduled = jax.jit(schedule["loss"])
    found = [scheduled(given, target, epoch) for epoch in (0.0, 0.9, 1.0, 5.0)]
    np.testing.assert_allclose(found, [wanted[0], wanted[0], wanted[1], wanted[1]], rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "a_t: 1",
            "a loss of piecewise-linear curves has the form 'a_t: NUMBERS | b_t: NUMBERS | a_tau: NUMBERS | b_tau",
        ),
        (
            "a_t: 1, 1 | b_t: 0, 0 | a_tau: 1, 1 | b_tau: 0, x",
            "b_tau must be 2 finite numbers with commas between them, not '0, x",
        ),
        ("a_t: 1, 1 | b_t: 0, 0 | a_tau: 1, 1, 1 | b_tau: 0, 0", "a_tau must be 2 finite numbers"),
        ("a_t: 1, ٣ | b_t: 0, 0 | a_tau: 1, 1 | b_tau: 0, 0", "a_t must be 2 finite numbers"),
        ("a_t: 1, 1e99 | b_t: 0, 0 | a_tau: 1, 1 | b_tau: 0, 0", "a_t must be 2 finite numbers"),
    ],
)
def test_a_mistake_in_a_formula_is_one_line(text, says):
    with pytest.raises(UserError) as error:
        am_lfs(AMLFSSettings(num_intervals=2)).parse(text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


SOFT = np.array([[0, 0, 1, 0, 0], [0.1, 0.9, 0, 0, 0]], np.float32)


def test_soft_labels_are_refused_where_they_are_seen():
    loss, logits = jaxloss.parse(SPACE.known_losses["focal"], SPACE), jnp.asarray(LOGITS[0][:2])
    says = ("this loss of the space am_lfs is a loss of one-hot labels", "'target' of sample 1 is [0.1, 0.9, 0, 0, 0]")
    with user_error(*says):
        loss(logits, SOFT)
    with user_error(*says):
        jax.grad(loss)(logits, SOFT)
    # What reaches no mean may be anything; where nothing is seen, it computes.
    assert np.isfinite(loss(logits, SOFT, mask=jnp.array([True, False])))
    assert np.isfinite(jax.jit(loss)(logits, SOFT))
    np.testing.assert_allclose(jax.jit(lambda x: loss(x, np.round(SOFT)))(logits), loss(logits, np.round(SOFT)), rtol=1e-6)


def test_exported_losses_refuse_soft_labels_where_they_are_seen():
    loss, logits, schedule, exported = jaxloss.parse(SPACE.known_losses["focal"], SPACE), LOGITS[0][:2], {}, {}
    exec(loss.python(), exported)
    candidate = SPACE.parse(SPACE.known_losses["focal"])
    exec(SPACE.distribution.write_schedule([(1.0, candidate)], "A schedule."), schedule)
    for name, module, more in (("loss", exported, ()), ("loss_values", exported, ()), ("loss", schedule, (0.5,))):
        function = module[name]
        for target in (SOFT, jnp.asarray(SOFT), np.zeros_like(SOFT), np.ones_like(SOFT)):
            with pytest.raises(ValueError, match="target must be one-hot"):
                function(logits, target, *more)
        with pytest.raises(ValueError, match="target must be one-hot"):
            jax.jit(lambda x, function=function, more=more: function(x, SOFT, *more))(logits)
        traced = jax.jit(function)(logits, SOFT, *more)
        np.testing.assert_allclose(traced, function(logits, np.round(SOFT), *more), rtol=1e-6)
    # Other frameworks have no such check.
    assert "one-hot, [N, C]" in loss.python("torch")
    assert "_expect_one_hot" not in loss.python("torch")
