"""The loss that a candidate is, against the formulas of the papers by hand."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.spaces.families import FAMILIES
from jaxloss.spaces.handcrafted_margin import MARGIN_FAMILIES
from jaxloss.systems.autoloss_gms.published import MARGIN_SOFTMAX_FORMULAS
from tests.margin_space.losses import BRANCH, FORM, FORMULAS, SPACE, cosines, inputs_of

values_of = jax.jit(FORM.values)


def total_and_gradient(loss, cosine, target):
    """Of `loss(inputs)`, in one program."""
    return jax.jit(jax.value_and_grad(lambda x: loss(inputs_of(x, target)).sum()))(jnp.asarray(cosine))


def of(text):
    """The interpreted loss of a formula."""
    return functools.partial(FORM.values, FORM.encode(FORM.parse(text)))


CURVES = {  # by hand: t, n, and what their gradients are taken of is the same, as nothing is detached
    "autoloss_gms_zero": (lambda x: (0.22 + np.exp(np.sqrt(0.22))) * x + np.arcsin(0.22) ** 2, lambda x: x + 0.85, 5.5),
    "autoloss_gms_a": (lambda x: (1 - x) * (x - 0.7), lambda x: np.maximum(gd(x - 1 / (1 + np.exp(-0.25))), 0), 7.5),
    "autoloss_gms_b": (lambda x: (1.3 - x) * (x - 1.0), lambda x: 0.35 * x - 0.35**2, 6.0),
    "autoloss_gms_c": (
        lambda x: (x - 0.84) * (0.95 - x),
        lambda x: np.maximum(np.arcsin(x), 0) * (x - 0.5) + 0.05,
        7.5,
    ),
    "autoloss_gms_d": (lambda x: x + 0.15, lambda x: x + 0.2, 4.0),
    "autoloss_gms_cub": (
        lambda x: (1.4 - x) * (x - 0.5),
        lambda x: 0.3 + (0.05 + x * np.maximum(np.sin(x), 0)) ** 2,
        6.5,
    ),
}


def gd(x):
    return 2 * np.arctan((np.exp(x / 2) - np.exp(-x / 2)) / (np.exp(x / 2) + np.exp(-x / 2)))


@pytest.mark.parametrize("name", CURVES)
def test_published_losses_have_the_values_of_table_3(name):
    """Against the softmax written out in NumPy, float64."""
    own, other, log2_scale = CURVES[name]
    cosine, target = cosines()
    wanted = []
    for row, label in zip(cosine[:, 0, 0].astype(float), target[:, 0, 0].argmax(-1), strict=True):
        logits = 2.0**log2_scale * np.array([own(x) if k == label else other(x) for k, x in enumerate(row)])
        wanted.append(np.log(np.sum(np.exp(logits - logits.max()))) + logits.max() - logits[label])
    values = values_of(FORM.encode(FORM.parse(FORMULAS[name])), inputs_of(cosine, target))
    assert values.shape == (6, 1, 1, 1)
    np.testing.assert_allclose(values.reshape(-1), wanted, rtol=2e-5, atol=2e-5)


# By hand: the slopes of t and n that train, with detached factors as constants.
SLOPES = {
    "autoloss_gms_zero": (lambda x: 0.22 + np.exp(np.sqrt(0.22)) + 0 * x, lambda x: 1 + 0 * x),
    "autoloss_gms_a": (lambda x: 1 - x, lambda x: (x > 1 / (1 + np.exp(-0.25))) / np.cosh(x - 1 / (1 + np.exp(-0.25)))),
    "autoloss_gms_b": (lambda x: 1.3 - x, lambda x: 0.35 + 0 * x),
    "autoloss_gms_c": (lambda x: 0.84 + 0.95 - 2 * x, lambda x: np.maximum(np.arcsin(x), 0)),
    "autoloss_gms_d": (lambda x: 1 + 0 * x, lambda x: 1 + 0 * x),
    "autoloss_gms_cub": (lambda x: 1.4 - x, lambda x: 2 * (0.05 + x * np.maximum(np.sin(x), 0)) * np.maximum(np.sin(x), 0)),
}


def test_published_losses_detach_what_table_3_detaches():
    """Their values do not show it; at a scale of 1 their gradients do."""
    cosine, target = cosines(num_samples=20)
    losses = [FORM.compile(dataclasses.replace(FORM.parse(FORMULAS[name]), log2_scale=0.0)) for name in SLOPES]
    gradients = jax.jit(lambda x: [jax.grad(lambda x, one=one: one(inputs_of(x, target)).sum())(x) for one in losses])(cosine)
    x = cosine.astype(float)
    for name, gradient in zip(SLOPES, gradients, strict=True):
        (own, other, _), (own_slope, other_slope) = CURVES[name], SLOPES[name]
        logits = np.where(target > 0, own(x), other(x))
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        wanted = np.where(target > 0, -own_slope(x) * (1 - p), other_slope(x) * p)
        np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("draws", [4, pytest.param(12, marks=pytest.mark.slow)])
def test_interpreted_and_compiled_forms_agree_in_value_and_gradient(draws):
    cosine, target = cosines()
    candidates = [FORM.parse(text) for text in FORMULAS.values()]
    candidates += [SPACE.sample(np.random.default_rng(seed), BRANCH) for seed in range(draws)]

    def both(cosine):
        def outcome(values):
            return jax.value_and_grad(lambda x: values(inputs_of(x, target)).sum())(cosine)

        interpreted = jax.vmap(outcome_of_encoded, in_axes=(0, None))(stacked, cosine)
        return interpreted, [outcome(FORM.compile(candidate)) for candidate in candidates]

    def outcome_of_encoded(encoded, cosine):
        return jax.value_and_grad(lambda x: FORM.values(encoded, inputs_of(x, target)).sum())(cosine)

    stacked = jax.tree.map(lambda *rows: jnp.stack(rows), *map(FORM.encode, candidates))
    (values, gradients), compiled = jax.jit(both)(jnp.asarray(cosine))
    for index, (value, gradient) in enumerate(compiled):
        np.testing.assert_allclose(values[index], value, rtol=1e-5, equal_nan=True)
        np.testing.assert_allclose(gradients[index], gradient, rtol=1e-4, atol=1e-4, equal_nan=True)


def test_gradient_is_the_papers_with_the_correction():
    """Eq. 18: minus s t'(cos_y)(1 - p_y) for the own class, and s n'(cos_i) p_i for the others (misprinted as 1 - p_i)."""
    cosine, target = cosines()
    _, gradient = total_and_gradient(of("t: Square(x) | n: Exp(x) | log2_s: 2"), cosine, target)
    logits = 4.0 * np.where(target > 0, cosine**2, np.exp(cosine))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = np.where(target > 0, -4 * 2 * cosine * (1 - p), 4 * np.exp(cosine) * p)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-5)


def test_a_pole_of_one_curve_does_not_reach_cosines_that_the_other_is_for():
    """sqrt(x - 0.5) has an infinite slope, or none at all, where n would be taken of the own class."""
    cosine = np.array([[[[0.5, -0.3, 0.9]]]], np.float32)
    target = np.array([[[[0.0, 1.0, 0.0]]]], np.float32)
    value, gradient = total_and_gradient(of("t: x | n: Sqrt(Minus(x, 0.4)) | log2_s: 2"), cosine, target)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert gradient[0, 0, 0, 1] == pytest.approx(-4, rel=0.2)


def test_pair_wise_form_is_equation_20():
    random = np.random.default_rng(1)
    similarity = random.uniform(-0.9, 0.9, (4, 1, 1, 6)).astype(np.float32)
    same = (random.random((4, 1, 1, 6)) < 0.5).astype(np.float32)
    values = values_of(FORM.encode(FORM.parse("t: Minus(x, 0.2) | n: Square(x) | log2_s: 3")), inputs_of(similarity, same))
    for index in range(4):
        own, row = same[index, 0, 0] > 0, similarity[index, 0, 0].astype(float)
        wanted = np.log1p(np.exp(8 * row[~own] ** 2).sum() * np.exp(-8 * (row[own] - 0.2)).sum())
        assert float(values[index, 0, 0, 0]) == pytest.approx(wanted, rel=1e-5)


def test_a_sample_without_a_partner_costs_nothing_and_has_no_gradient():
    similarity, same = jnp.full((1, 1, 1, 3), 0.3), jnp.zeros((1, 1, 1, 3))
    value, gradient = total_and_gradient(of("t: x | n: x | log2_s: 3"), similarity, same)
    assert value == 0
    assert not np.asarray(gradient).any()


PRIORS = {"normalised_softmax": {}, "cosface": {"margin": 0.35}, "circle": {"margin": 0.25}}


@pytest.mark.parametrize("name", PRIORS)
def test_prior_formulas_are_the_hand_crafted_losses(name):
    cosine, target = cosines()
    hyperparameters = {**PRIORS[name], "log2_s": FORM.parse(MARGIN_SOFTMAX_FORMULAS[name]).log2_scale}
    ours = total_and_gradient(of(MARGIN_SOFTMAX_FORMULAS[name]), cosine, target)
    theirs = total_and_gradient(lambda inputs: FAMILIES[name].values(inputs, **hyperparameters), cosine, target)
    chex.assert_trees_all_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_hand_crafted_margins_by_their_formulas():
    """ArcFace turns the angle up to the guard and is linear beyond; SphereFace falls over the whole range of angles."""
    angles = np.linspace(0.01, np.pi - 0.01, 400)
    cosine = np.stack([np.cos(angles), np.full(400, -0.5)], axis=1).astype(np.float32)[:, None, None]
    target = np.broadcast_to(np.array([1.0, 0.0], np.float32), cosine.shape)

    def own_curve(name, **hyperparameters):
        values = MARGIN_FAMILIES[name].values(inputs_of(cosine, target), log2_s=jnp.float32(0), **hyperparameters)
        return -np.log(np.expm1(np.asarray(values).reshape(-1).astype(float))) - 0.5  # loss = log(1 + e^{-0.5 - t})

    arcface = own_curve("arcface", margin=jnp.float32(0.5))
    turned = angles < np.pi - 0.5
    np.testing.assert_allclose(arcface[turned], np.cos(angles[turned] + 0.5), atol=2e-3)
    np.testing.assert_allclose(arcface[~turned], np.cos(angles[~turned]) - 0.5 * np.sin(0.5), atol=2e-3)
    sphereface = own_curve("sphereface", margin=jnp.float32(3.0))
    assert (np.diff(sphereface) < 1e-3).all()
    np.testing.assert_allclose(sphereface[angles < np.pi / 3], np.cos(3 * angles[angles < np.pi / 3]), atol=2e-3)


@pytest.mark.parametrize("name", MARGIN_FAMILIES)
def test_hand_crafted_margins_have_finite_gradients_at_the_ends(name):
    cosine = np.array([[[[1.0, -1.0, 0.0]]], [[[-1.0, 1.0, 0.0]]]], np.float32)
    target = np.array([[[[1.0, 0.0, 0.0]]], [[[1.0, 0.0, 0.0]]]], np.float32)
    family = MARGIN_FAMILIES[name]
    hyperparameters = family.encode(family.defaults)
    _, gradient = total_and_gradient(lambda inputs: family.values(inputs, **hyperparameters), cosine, target)
    assert np.isfinite(gradient).all()
