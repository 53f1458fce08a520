"""Hand-crafted losses of dense prediction: against NumPy, void, at extremes, and on two devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from scipy import ndimage

import jaxloss
from jaxloss.core.types import LossInputs
from jaxloss.spaces.families import family
from jaxloss.spaces.handcrafted_overlap import OVERLAP_FAMILIES
from jaxloss.spaces.handcrafted_structure import FARTHEST, STRUCTURE_FAMILIES
from tests.segmentation_metrics.reference import VOID, blobs

NUM_CLASSES, SHAPE = 4, (3, 13, 22)
DENSE = [*OVERLAP_FAMILIES, *STRUCTURE_FAMILIES]
ALL = [*DENSE, "cross_entropy", "focal", "weighted_cross_entropy"]
NUMBERS = {"alpha": 0.3, "beta": 0.9, "strength": 3.0, "decay": 1.7, "share": 0.4, "gamma": 1.5}
PRIOR = np.array([0.5, 0.3, 0.15, 0.05])


def batch(seed=0, void=0.2):
    """Logits and labels without class 2."""
    labels = blobs(seed, SHAPE, NUM_CLASSES, void=void)
    return np.random.default_rng(seed).normal(scale=2, size=(*SHAPE, NUM_CLASSES)), np.where(labels == 2, 3, labels)


def inputs_of(logits, labels):
    valid = labels != VOID
    arrays = {
        "logits": logits,
        "target": np.eye(NUM_CLASSES)[np.where(valid, labels, 0)],
        "prior": np.broadcast_to(PRIOR, logits.shape),
    }
    return LossInputs.create(
        {name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()}, mask=jnp.asarray(valid)[..., None]
    )


def encoded(name, numbers=NUMBERS):
    return family(name).encode({key: numbers[key] for key in family(name).tuning_ranges})


@functools.cache
def outcome(name):
    """`(logits, hyper-parameters, inputs) -> (loss, gradient)`."""

    def loss(logits, hyperparameters, inputs):
        given = LossInputs({**inputs.arrays, "logits": logits}, inputs.mask, inputs.weights)
        return family(name).loss(hyperparameters, {"": given})

    return jax.jit(jax.value_and_grad(loss))


def result(name, inputs, numbers=NUMBERS):
    value, gradient = outcome(name)(inputs.arrays["logits"], encoded(name, numbers), inputs)
    return float(value), np.asarray(gradient)


def lovasz_extension(errors, members):
    """From the definition: errors times what each set of the largest ones adds to `1 - IoU` when all of it is wrong."""

    def risk(wrong):
        kept = len(members - wrong)
        return 1 - kept / len(members | wrong)

    order = np.argsort(-errors, kind="stable")
    steps = [risk(set(order[: k + 1].tolist())) - risk(set(order[:k].tolist())) for k in range(len(order))]
    return float(np.dot(errors[order], steps))


def similarity(p, y, valid):
    """SSIM in a Gaussian window over what is valid, `[H, W]`."""

    def blur(values):
        return ndimage.gaussian_filter(values, 1.5, mode="constant", radius=5)

    def mean(values):
        return blur(np.where(valid, values, 0)) / np.maximum(blur(valid.astype(float)), 1e-300)

    p_mean, y_mean = mean(p), mean(y)
    covariance = mean(p * y) - p_mean * y_mean
    variances = mean(p * p) - p_mean**2 + mean(y * y) - y_mean**2
    return (2 * p_mean * y_mean + 1e-4) * (2 * covariance + 9e-4) / ((p_mean**2 + y_mean**2 + 1e-4) * (variances + 9e-4))


def to_boundary(labels):
    """Distance to the nearest position with a neighbour of another class, `[H, W]`."""
    edges = np.zeros(labels.shape, bool)
    for c in np.unique(labels[labels != VOID]):
        edges |= (labels == c) & ~ndimage.binary_erosion(labels == c, np.ones((3, 3)), border_value=1)
    return ndimage.distance_transform_cdt(~edges, "chessboard") if edges.any() else np.full(labels.shape, np.inf)


def reference(name, logits, labels):
    valid = labels != VOID
    p = scipy.special.softmax(logits, axis=-1)
    y = np.eye(NUM_CLASSES)[np.where(valid, labels, 0)]
    flat_p, flat_y = p[valid], y[valid]
    cross_entropy = -np.log((flat_p * flat_y).sum(-1))
    present = np.unique(labels[valid])
    right, wrong, missed = (flat_p * flat_y).sum(0), (flat_p * (1 - flat_y)).sum(0), ((1 - flat_p) * flat_y).sum(0)
    if name == "cross_entropy":
        return cross_entropy.mean()
    if name == "focal":
        return ((1 - np.exp(-cross_entropy)) ** NUMBERS["gamma"] * cross_entropy).mean()
    if name == "weighted_cross_entropy":
        return (cross_entropy / (NUM_CLASSES * PRIOR[labels[valid]])).mean()
    if name == "dice":
        return 1 - (2 * right / ((flat_p**2).sum(0) + flat_y.sum(0)))[present].mean()
    if name == "tversky":
        return 1 - (right / (right + NUMBERS["alpha"] * wrong + NUMBERS["beta"] * missed))[present].mean()
    if name == "soft_jaccard":
        return 1 - (right / (flat_p + flat_y - flat_p * flat_y).sum(0))[present].mean()
    if name == "lovasz_softmax":
        members = [set(np.flatnonzero(flat_y[:, c]).tolist()) for c in present]
        return np.mean([lovasz_extension(np.abs(flat_y - flat_p)[:, c], m) for c, m in zip(present, members, strict=True)])
    if name == "boundary_cross_entropy":
        distance = np.stack([to_boundary(one) for one in labels])[valid]
        nearness = np.where(distance < FARTHEST, np.exp(-distance / NUMBERS["decay"]), 0)
        return ((1 + NUMBERS["strength"] * nearness) * cross_entropy).mean()
    assert name == "structural_similarity"
    maps = np.stack(
        [
            np.mean([similarity(p[n, ..., c], y[n, ..., c], valid[n]) for c in range(NUM_CLASSES)], axis=0)
            for n in range(len(labels))
        ]
    )
    return ((1 - NUMBERS["share"]) * cross_entropy + NUMBERS["share"] * (1 - maps[valid])).mean()


@pytest.mark.parametrize("name", ALL)
def test_losses_are_those_of_the_papers(name):
    for void in (0.2, 0.0):
        logits, labels = batch(void=void)
        value, gradient = result(name, inputs_of(logits, labels))
        assert value == pytest.approx(reference(name, logits, labels), rel=2e-5)
        assert np.isfinite(gradient).all()
        assert gradient.any()


@pytest.mark.parametrize("name", ALL)
def test_void_positions_change_nothing_whatever_they_hold(name):
    logits, labels = batch()
    void = labels == VOID
    value, gradient = result(name, inputs_of(logits, labels))
    assert not gradient[void].any()
    for garbage in (np.nan, np.inf, 1e30):
        other, slope = result(name, inputs_of(np.where(void[..., None], garbage, logits), labels))
        assert other == value
        np.testing.assert_array_equal(slope, gradient)


@pytest.mark.parametrize("name", ALL)
def test_void_samples_and_void_batches_have_no_gradient(name):
    logits, labels = batch()
    one_void = labels.copy()
    one_void[1] = VOID
    value, gradient = result(name, inputs_of(logits, one_void))
    assert value == pytest.approx(reference(name, logits, one_void), rel=2e-5)
    assert np.isfinite(gradient).all()
    assert not gradient[1].any()
    value, gradient = result(name, inputs_of(logits, np.full_like(labels, VOID)))
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_finite_at_extremes(name):
    """Sure and right, sure and wrong, undecided; one class alone; hyper-parameters at both ends."""
    logits, labels = batch()
    sure = 200.0 * np.eye(NUM_CLASSES)[np.where(labels == VOID, 0, labels)]
    spans = family(name).tuning_ranges
    for numbers in ({key: getattr(span, end) for key, span in spans.items()} for end in ("low", "high", "default")):
        for given in (sure, -sure, 0 * sure, 1e4 * logits):
            for true in (labels, np.full_like(labels, 1)):
                value, gradient = result(name, inputs_of(given, true), numbers)
                assert np.isfinite(value)
                assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", DENSE)
def test_what_is_better_costs_less(name):
    logits, labels = batch()
    right = np.eye(NUM_CLASSES)[np.where(labels == VOID, 0, labels)]
    values = [result(name, inputs_of(logits + strength * right, labels))[0] for strength in (0, 1, 2, 4, 40)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(0, abs=1e-3)


class TestByHand:
    def test_overlap_of_two_positions(self):
        """p_0 is 3/4 and 1/4, the labels are 0 and 1: of both classes TP is 3/4, FP and FN are 1/4."""
        logits = np.log([[[[3.0, 1.0], [1.0, 3.0]]]])
        arrays = {"logits": jnp.asarray(logits, jnp.float32), "target": jnp.asarray(np.eye(2)[[[[0, 1]]]], jnp.float32)}
        inputs = {"": LossInputs.create(arrays)}
        wanted = {"soft_jaccard": 1 - 3 / 5, "dice": 1 - 2 * 0.75 / (10 / 16 + 1), "lovasz_softmax": 0.25}
        for name, value in wanted.items():
            assert float(family(name).loss({}, inputs)) == pytest.approx(value, rel=1e-5), name
        found = float(family("tversky").loss(family("tversky").encode({"alpha": 0.5, "beta": 1.0}), inputs))
        assert found == pytest.approx(1 - 0.75 / (0.75 + 0.125 + 0.25), rel=1e-5)

    def test_lovasz_of_hard_predictions_is_one_minus_iou(self):
        random = np.random.default_rng(0)
        predicted, labels = random.integers(3, size=(2, 8, 9)), random.integers(3, size=(2, 8, 9))
        arrays = {"logits": 1e3 * np.eye(3)[predicted], "target": np.eye(3)[labels]}
        inputs = LossInputs.create({name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()})
        ious = [((predicted == c) & (labels == c)).sum() / ((predicted == c) | (labels == c)).sum() for c in range(3)]
        assert float(family("lovasz_softmax").loss({}, {"": inputs})) == pytest.approx(1 - np.mean(ious), rel=1e-5)

    def test_lovasz_keeps_its_digits_among_many_positions(self):
        """Its weights are differences of numbers near one: among 2^18 positions float32 would leave two digits of them."""
        random = np.random.default_rng(1)
        logits, labels = random.normal(size=(1, 512, 512, 2)).astype(np.float32), random.integers(2, size=(1, 512, 512))
        target = np.eye(2, dtype=np.float32)[labels]

        def loss(logits, target):
            return family("lovasz_softmax").loss({}, {"": LossInputs.create({"logits": logits, "target": target})})

        found = np.asarray(jax.jit(jax.grad(loss))(logits, target)).reshape(-1, 2)
        p, y = scipy.special.softmax(logits.astype(float), axis=-1).reshape(-1, 2), target.reshape(-1, 2).astype(float)
        slopes = np.zeros_like(p)
        for c in range(2):
            order = np.argsort(-np.abs(y - p)[:, c], kind="stable")
            inside = y[order, c]
            kept, union = inside.sum() - np.cumsum(inside), inside.sum() + np.cumsum(1 - inside)
            slopes[order, c] = np.diff(1 - kept / union, prepend=0) * (1 - 2 * inside) / 2
        wanted = p * (slopes - (p * slopes).sum(-1, keepdims=True))
        np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=1e-3 * np.abs(wanted).max())

    def test_weights_fall_from_the_boundary(self):
        labels = np.zeros((1, 1, 40), int)
        labels[..., 20:] = 1
        logits = np.zeros((1, 1, 40, NUM_CLASSES))
        _, gradient = result("boundary_cross_entropy", inputs_of(logits, labels))
        weights = np.abs(gradient).sum(-1)[0, 0]
        weights /= weights[0]  # twenty positions away
        np.testing.assert_allclose(weights[[19, 20]], 1 + NUMBERS["strength"], rtol=1e-5)
        np.testing.assert_allclose(weights[16], 1 + NUMBERS["strength"] * np.exp(-3 / NUMBERS["decay"]), rtol=1e-5)
        assert weights[20 + FARTHEST] == pytest.approx(1) != weights[20 + FARTHEST - 1]


@pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")
@pytest.mark.parametrize("name", OVERLAP_FAMILIES)
def test_the_batch_is_that_of_all_devices(name):
    logits, labels = (array[:2] for array in batch())
    inputs = inputs_of(logits, labels)
    value, gradient = result(name, inputs)

    def share(logits, inputs):
        given = LossInputs({**inputs.arrays, "logits": logits}, inputs.mask, inputs.weights)
        return family(name).loss(encoded(name), {"": given}, "devices")

    apart = jax.tree.map(lambda leaf: leaf[:, None], inputs)
    mapped = jax.pmap(jax.value_and_grad(share), "devices", devices=jax.devices()[:2])
    shares, gradients = mapped(apart.arrays["logits"], apart)
    assert float(shares.sum()) == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(gradients[:, 0], gradient, rtol=1e-3, atol=1e-7)


def test_they_are_public_functions():
    logits, labels = batch(void=0)
    target = np.eye(NUM_CLASSES)[labels]
    assert float(jaxloss.loss("dice")(logits, target)) == pytest.approx(reference("dice", logits, labels), rel=1e-5)
    for name in STRUCTURE_FAMILIES:
        # One position to a sample, as in classification.
        value, gradient = result(name, inputs_of(logits[:, :1, :1], labels[:, :1, :1]))
        assert np.isfinite(value), name
        assert np.isfinite(gradient).all(), name
