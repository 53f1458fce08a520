"""What the task of two stages offers to losses, how it is reduced, and the losses that read deltas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.reduce import mean_loss
from jaxloss.spaces.families import branch_families
from jaxloss.tasks.two_stage_detection.coding import BoxCoding
from jaxloss.tasks.two_stage_detection.inputs import StageInputs
from jaxloss.tasks.two_stage_detection.regions import Regions
from tests.two_stage_task import reference

MEANS, DEVIATIONS = (0.0, 0.1, 0.0, 0.0), (0.1, 0.1, 0.2, 0.2)
NUM_CLASSES = 2
# Of the first image two regions are positive, one is background and one padding; the second has no box.
REGION_BOXES = np.array([[[0, 0, 12, 8], [4, 4, 20, 16], [30, 2, 40, 9], [0] * 4], [[0, 0, 12, 8]] * 3 + [[0] * 4]], np.float32)
TRUTH = REGION_BOXES.copy()
TRUTH[0, :2] = [[1, -1, 14, 9], [4, 6, 18, 18]]
REGIONS = Regions(
    boxes=jnp.asarray(REGION_BOXES),
    labels=jnp.array([[1, 0, -1, -1], [-1] * 4]),
    index=jnp.array([[0, 1, -1, -1], [-1] * 4]),
    truth=jnp.asarray(TRUTH),
    counted=jnp.array([[True, True, True, False]] * 2),
    places=jnp.zeros((2, 4), jnp.int32),
)
POSITIVE = [(0, 0), (0, 1)]


def make(num_classes=NUM_CLASSES, unit="target"):
    return StageInputs(num_classes, BoxCoding(MEANS, DEVIATIONS), unit)


def outputs():
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 4, NUM_CLASSES + 1)).astype(np.float32)
    return jnp.asarray(logits), jnp.asarray(random.normal(0, 1.5, (2, 4, NUM_CLASSES, 4)).astype(np.float32))


def predicted(deltas, image, slot):
    return reference.decode(REGION_BOXES[image, slot], np.asarray(deltas)[image, slot], MEANS, DEVIATIONS)


def test_classes_and_background_of_sampled_regions():
    made, (logits, deltas) = make(), outputs()
    own = made.deltas_of(deltas, REGIONS)
    np.testing.assert_array_equal(own[0, 0], deltas[0, 0, 1])
    np.testing.assert_array_equal(own[0, 1], deltas[0, 1, 0])
    found = made.classification(logits, made.overlaps(own, REGIONS), REGIONS)
    np.testing.assert_array_equal(found.arrays["target"][0, :3, 0], [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(found.arrays["target"][1, :3, 0], [[0, 0, 1]] * 3)
    shares = np.exp(np.asarray(logits))
    np.testing.assert_allclose(found.arrays["prediction"][:, :, 0], shares / shares.sum(-1, keepdims=True), rtol=1e-5)
    wanted = np.ones((2, 4))
    for place in POSITIVE:
        wanted[place] = reference.iou(predicted(own, *place), TRUTH[place])
    np.testing.assert_allclose(found.arrays["overlap"][..., 0, 0], wanted, rtol=1e-4, atol=1e-5)
    assert not np.any(jax.grad(lambda own: jnp.sum(made.overlaps(own, REGIONS)))(own))
    np.testing.assert_array_equal(found.mask[..., 0, 0], REGIONS.counted)


def test_the_first_stage_tells_objects_from_background():
    np.testing.assert_array_equal(make(1).one_hot(jnp.array([0, 5, -1]))[:, 0], [[1, 0], [1, 0], [0, 1]])


@pytest.mark.parametrize("unit", ["target", "pixels"])
def test_boxes_of_positive_regions(unit):
    made, (_, deltas) = make(unit=unit), outputs()
    own = made.deltas_of(deltas, REGIONS)
    found = made.regression(own, REGIONS)
    np.testing.assert_array_equal(found.mask[..., 0, 0], REGIONS.positive)
    for place in POSITIVE:
        box, truth, region = predicted(own, *place), TRUTH[place], REGION_BOXES[place]
        whole = (truth[2] - truth[0]) * (truth[3] - truth[1]) if unit == "target" else 1
        areas = [float(found.arrays[name][place][0, 0]) for name in ("intersection", "union", "enclosing")]
        np.testing.assert_allclose(areas, np.array(reference.areas(box, truth)) / whole, rtol=1e-4, atol=1e-5)
        wanted = reference.encode(region, truth, MEANS, DEVIATIONS)
        np.testing.assert_allclose(found.arrays["target_deltas"][place][0], wanted, rtol=1e-4, atol=1e-4)
        middle = np.array([region[0] + region[2], region[1] + region[3]]) / 2
        root = np.sqrt((region[2] - region[0]) * (region[3] - region[1]))
        for name, one in (("distances", box), ("target_distances", truth)):
            wanted = np.concatenate([middle - one[:2], one[2:] - middle]) / root
            np.testing.assert_allclose(found.arrays[name][place][0], wanted, rtol=1e-4, atol=1e-4)
    assert all(np.all(np.isfinite(array)) for array in found.arrays.values())


@pytest.mark.parametrize(("name", "beta"), [("delta_l1", None), ("delta_smooth_l1", 0.5)])
def test_sums_are_divided_by_the_sampled_regions(name, beta):
    """As in Faster R-CNN: positive regions and background, in the loss of boxes too."""
    made, (_, deltas) = make(), outputs()
    inputs = made.regression(made.deltas_of(deltas, REGIONS), REGIONS)
    family = branch_families(name, {"rcnn_regression": 1.0})
    encoded = family.tuned(None, {} if beta is None else {"beta": beta})
    value, gradient = jax.value_and_grad(lambda own: family.loss(encoded, {"rcnn_regression": made.regression(own, REGIONS)}))(
        made.deltas_of(deltas, REGIONS)
    )
    total, slopes = 0.0, np.zeros((2, 4, 4))
    for place in POSITIVE:
        own = np.asarray(made.deltas_of(deltas, REGIONS))[place]
        error = own - np.asarray(inputs.arrays["target_deltas"][place][0])
        if beta is None:
            total, slopes[place] = total + np.abs(error).sum(), np.sign(error)
        else:
            small = np.abs(error) < beta
            total += np.where(small, error**2 / (2 * beta), np.abs(error) - beta / 2).sum()
            slopes[place] = np.where(small, error / beta, np.sign(error))
    # Three regions of each image are no padding.
    assert value == pytest.approx(total / 6, rel=1e-4)
    np.testing.assert_allclose(gradient, slopes / 6, rtol=1e-4, atol=1e-5)


def test_a_batch_without_boxes_has_a_loss_of_classes_alone():
    made, (logits, deltas) = make(), outputs()
    nothing = jax.tree.map(lambda leaf: leaf[1:], REGIONS)
    found = made.regression(deltas[1:, :, 0], nothing)
    assert float(mean_loss(found.arrays["union"], found)) == 0
    classes = made.classification(logits[1:], made.overlaps(deltas[1:, :, 0], nothing), nothing)
    cross_entropy = -(classes.arrays["target"] * jnp.log(classes.arrays["prediction"]))
    wanted = -np.log(np.asarray(classes.arrays["prediction"])[0, :3, 0, 2]).mean()
    assert mean_loss(cross_entropy, classes) == pytest.approx(wanted, rel=1e-5)
