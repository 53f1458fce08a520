"""Published and hand-crafted losses of detection: values and gradients against NumPy, written from the papers."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import jaxloss
from jaxloss.config.plan import make_contender, make_rival
from jaxloss.core.errors import UserError
from jaxloss.core.types import LossInputs
from jaxloss.spaces.families import FAMILIES
from tests.box_losses.spaces import areas, boxes, form_of, named, scores


def sigmoid(x):
    return special.expit(x)


def log_softmax(x):
    return special.log_softmax(x, axis=1)


def cse_b(x, y, w):
    """As the authors' code has it, without the factor alpha outside."""
    serf = (special.erf(np.sqrt(np.pi) * sigmoid(1 - y) / 4) + 1) / 2
    sgd = ((2 / np.pi) * 2 * np.arctan(np.tanh(np.pi * x / 8)) + 1) / 2
    q = w * y
    return -(q * (1 + serf) * np.log(sigmoid(x)) + (sgd - q) * (sigmoid(x) - q) * np.log(1 - sigmoid(x)))


OF_CLASSES = {
    "cse_autoloss_a_classification": lambda x, y, w: -((1 + np.sin(w)) * y * log_softmax(x)),
    "cse_autoloss_b_classification": cse_b,
    "cei": lambda x, y, w: -(w * y * log_softmax(x)),
    "fli": lambda x, y, w: -w * (
        y * (1 - sigmoid(x)) * np.log(sigmoid(x)) + (1 - y) * sigmoid(x) * np.log(1 - sigmoid(x))
    ),
    "cross_entropy": lambda x, y, w: -(y * log_softmax(x)),
    "binary_cross_entropy": lambda x, y, w: -(y * np.log(sigmoid(x)) + (1 - y) * np.log(1 - sigmoid(x))),
}  # fmt: skip
OF_AREAS = {
    "cse_autoloss_a_regression": lambda i, u, e: 1 - i / u + (e - i - 2) / e,
    "cse_autoloss_b_regression": lambda i, u, e: (
        (3 * e * u + 12 * e + 3 * i + 3 * u + 18) / (-3 * e * u + i * u + u**2 - 15 * e + 5 * i + 5 * u)
    ),
    "giou": lambda i, u, e: 1 - (i / u - (e - u) / e),
    "iou": lambda i, u, e: 1 - i / u,
    "iou_log": lambda i, u, e: -np.log(i / u + 1e-20),
}
TWINS = {
    "cse_autoloss_cei_classification": "cei",
    "cse_autoloss_fli_classification": "fli",
    "cse_autoloss_giou_regression": "giou",
}


@functools.cache
def any_loss(branch):
    """`(arrays, encoded) -> (gradients of the sum, losses)`, compiled once for all losses of a branch."""

    def total(arrays, encoded):
        losses = jnp.sum(form_of(branch).values(encoded, LossInputs.create(arrays)), axis=-1).reshape(-1)
        return jnp.sum(losses), losses

    return jax.jit(jax.grad(total, has_aux=True))


def loss_and_gradients(branch, name, arrays):
    """Per sample, summed over the classes, and the gradient of the sum with respect to all arrays; float64."""
    with jax.enable_x64(True):
        given = {key: jnp.asarray(one)[:, None, None] for key, one in arrays.items()}
        gradients, losses = any_loss(branch)(given, form_of(branch).encode(form_of(branch).parse(named(branch)[name])))
        return np.asarray(losses), {key: np.asarray(one)[:, 0, 0] for key, one in gradients.items()}


def slopes(reference, arrays, step=1e-6):
    """Finite differences of a reference of NumPy, `name -> [N, C]`, of losses of one sample each."""
    found = {}
    for name, array in arrays.items():
        found[name] = np.zeros_like(array)
        for column in range(array.shape[1]):
            moved = [{**arrays, name: array + sign * step * (np.arange(array.shape[1]) == column)} for sign in (1, -1)]
            above, below = (reference(*one.values()).sum(axis=1) for one in moved)
            found[name][:, column] = (above - below) / (2 * step)
    return found


def test_every_published_and_known_loss_is_checked():
    for branch, references in (("classification", OF_CLASSES), ("regression", OF_AREAS)):
        assert {TWINS.get(name, name) for name in named(branch)} == set(references)
        for name, twin in TWINS.items():
            if name in named(branch):
                assert named(branch)[name] == named(branch)[twin]


@pytest.mark.parametrize(
    ("branch", "name"), [*(("classification", name) for name in OF_CLASSES), *(("regression", name) for name in OF_AREAS)]
)
def test_values_and_gradients_are_those_of_the_papers(branch, name):
    if branch == "classification":
        arrays = dict(zip(("logits", "target", "overlap"), scores(), strict=True))
        reference = OF_CLASSES[name]
    else:
        arrays = dict(zip(("intersection", "union", "enclosing"), areas(*boxes()), strict=True))
        # Where boxes are disjoint, the logarithm has a slope of 1e20.
        arrays = {key: one[arrays["intersection"][:, 0] > 0] for key, one in arrays.items()}
        reference = OF_AREAS[name]
    values, gradients = loss_and_gradients(branch, name, arrays)
    np.testing.assert_allclose(values, reference(*arrays.values()).sum(axis=1), rtol=1e-10)
    for key, wanted in slopes(reference, arrays).items():
        if key == "logits" or branch == "regression":
            np.testing.assert_allclose(gradients[key], wanted, rtol=2e-5, atol=1e-7)


def test_a_match_in_pixels_is_what_the_published_code_gives():
    perfect = jnp.full((1, 1, 1, 1), 100.0)
    form = form_of("regression")
    found = form.compile(form.parse(named("regression")["cse_autoloss_a_regression"]))(
        LossInputs.create(dict.fromkeys(("intersection", "union", "enclosing"), perfect))
    )
    assert float(found[0, 0, 0, 0]) == pytest.approx(-0.02)


def test_losses_that_depend_on_the_unit_of_length_are_the_two_that_were_found():
    arrays = areas(*boxes())
    changed = {
        name
        for name in OF_AREAS
        if not np.allclose(OF_AREAS[name](*arrays), OF_AREAS[name](*(100 * one for one in arrays)), rtol=1e-3, atol=1e-9)
    }
    assert changed == {"cse_autoloss_a_regression", "cse_autoloss_b_regression"}


# --- hand-crafted families -----------------------------------------------------------------------------------------------------


def corners(distances):
    """Boxes around the origin from (left, top, right, bottom)."""
    return np.concatenate([-distances[:, :2], distances[:, 2:]], axis=1)


def overlap_of(distances, wanted):
    shared, union, _ = areas(corners(distances), corners(wanted))
    return shared / union


def diou(distances, wanted):
    box, other = corners(distances), corners(wanted)
    centre = ((box[:, :2] + box[:, 2:] - other[:, :2] - other[:, 2:]) ** 2).sum(1) / 4
    around = np.maximum(box[:, 2:], other[:, 2:]) - np.minimum(box[:, :2], other[:, :2])
    return 1 - overlap_of(distances, wanted) + (centre / (around**2).sum(1))[:, None]


def aspect(distances, wanted):
    angle, other = (np.arctan((one[:, 2] + one[:, 0]) / (one[:, 3] + one[:, 1])) for one in (distances, wanted))
    return (4 / np.pi**2 * (other - angle) ** 2)[:, None]


def bounded(distances, wanted, beta):
    total = 0
    for low in (0, 1):
        side, target = distances[:, low] + distances[:, low + 2], wanted[:, low] + wanted[:, low + 2]
        apart = np.abs((distances[:, low + 2] - distances[:, low]) - (wanted[:, low + 2] - wanted[:, low])) / 2
        bounds = (np.maximum((target - 2 * apart) / (target + 2 * apart), 0), np.minimum(side / target, target / side))
        errors = [1 - one for one in bounds]
        total = total + sum(np.where(one < beta, one**2 / (2 * beta), one - beta / 2) for one in errors)
    return total[:, None]


OF_DISTANCES = {
    "diou": (diou, {}),
    "ciou": (None, {}),
    "bounded_iou": (lambda d, t: bounded(d, t, 0.2), {"beta": 0.2}),
    "box_l1": (lambda d, t: np.abs(d - t).mean(1, keepdims=True), {}),
    "box_smooth_l1": (
        lambda d, t: np.where(np.abs(d - t) < 0.5, (d - t) ** 2 / 1.0, np.abs(d - t) - 0.25).mean(1, keepdims=True),
        {"beta": 0.5},
    ),
}


@pytest.mark.parametrize("name", OF_DISTANCES)
def test_losses_of_distances(name):
    random = np.random.default_rng(2)
    distances, wanted = random.uniform(0.2, 3, (2, 30, 4))
    reference, numbers = OF_DISTANCES[name]
    if name == "ciou":
        # Its factor is a constant to the gradient.
        v, iou = aspect(distances, wanted), overlap_of(distances, wanted)
        alpha = v / (1 - iou + v)

        def reference(d, t):
            return diou(d, t) + alpha * aspect(d, t)

    with jax.enable_x64(True):
        given = {"distances": jnp.asarray(distances)[:, None, None], "target_distances": jnp.asarray(wanted)[:, None, None]}

        def loss(arrays):
            return FAMILIES[name].values(LossInputs.create(arrays), **numbers).reshape(-1)

        gradient = jax.grad(lambda arrays: jnp.sum(loss(arrays)))(given)["distances"][:, 0, 0]
        np.testing.assert_allclose(loss(given), reference(distances, wanted)[:, 0], rtol=1e-9)
    expected = slopes(reference, {"distances": distances, "wanted": wanted})["distances"]
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


def test_the_overlap_families_are_the_known_formulas():
    i, u, e = areas(*boxes(3))
    names = ("intersection", "union", "enclosing")
    inputs = LossInputs.create(
        {name: jnp.asarray(one, jnp.float32)[:, None, None] for name, one in zip(names, (i, u, e), strict=True)}
    )
    for name in ("iou", "giou"):
        np.testing.assert_allclose(FAMILIES[name].values(inputs).reshape(-1), OF_AREAS[name](i, u, e)[:, 0], rtol=1e-5, atol=1e-6)


def harmonised(x, y, valid):
    """`GHMC` of its authors' code without momentum, of each score."""
    size = np.abs(sigmoid(x) - y)
    weight = np.zeros_like(x)
    edges = np.linspace(0, 1, 11)
    edges[-1] += 1e-6
    held, total = 0, valid.sum() * x.shape[1]
    for low, high in itertools.pairwise(edges):
        inside = (size >= low) & (size < high) & valid[:, None]
        if inside.any():
            weight[inside] = total / inside.sum()
            held += 1
    return weight / held * -(y * np.log(sigmoid(x)) + (1 - y) * np.log(1 - sigmoid(x)))


def test_scores_are_weighed_by_the_density_of_their_gradients():
    x, y, _ = scores(5)
    valid = np.arange(len(x)) % 5 > 0
    mask = jnp.asarray(valid)[:, None, None, None]

    def loss(logits, target):
        inputs = LossInputs.create({"logits": logits[:, None, None], "target": target[:, None, None]}, mask)
        return FAMILIES["ghm"].values(inputs).reshape(-1)

    x, y = x.astype(np.float32), y.astype(np.float32)
    np.testing.assert_allclose(loss(x, y)[valid], harmonised(x, y, valid).sum(1)[valid], rtol=2e-4)
    # The weights are constants to the gradient.
    gradient = jax.grad(lambda logits: jnp.sum(loss(logits, y)[valid]))(jnp.asarray(x))
    weights = harmonised(x, y, valid) / -(y * np.log(sigmoid(x)) + (1 - y) * np.log(1 - sigmoid(x)))
    np.testing.assert_allclose(gradient[valid], (weights * (sigmoid(x) - y))[valid], rtol=2e-3, atol=1e-5)


def test_a_found_loss_is_a_function_for_people():
    loss = jaxloss.loss("cse_autoloss_b_regression")
    found = loss(intersection=jnp.full((1, 1), 50.0), union=jnp.full((1, 1), 150.0), enclosing=jnp.full((1, 1), 200.0))
    assert float(found) == pytest.approx(float(OF_AREAS["cse_autoloss_b_regression"](50.0, 150.0, 200.0)), rel=1e-5)


def test_published_losses_of_both_branches_are_named_together():
    space = jaxloss.make_space("cse_autoloss", branches=("classification", "regression"))
    names = "classification: cse_autoloss_a_classification | regression: cse_autoloss_a_regression"
    made = make_contender(names, space)
    candidate = space.parse(made.formula)
    for branch in space.branches:
        wanted = branch.form.parse(named(branch.name)[f"cse_autoloss_a_{branch.name}"])
        assert branch.form.key(candidate[branch.name]) == branch.form.key(wanted)
    assert make_rival(names, space) == made
    assert made.kind == "published"
    with pytest.raises(UserError, match="cse_autoloss_a_boxes"):
        make_contender(names.replace("a_regression", "a_boxes"), space)
