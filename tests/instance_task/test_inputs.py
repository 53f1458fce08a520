"""What masks are learnt, and the losses of masks: values and gradients of references in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.reduce import mean_loss
from jaxloss.spaces.families import family
from jaxloss.tasks.data.instances.bitmaps import encoded, in_box
from jaxloss.tasks.instance_segmentation.inputs import MaskInputs, of_class
from jaxloss.tasks.two_stage_detection.regions import Regions
from tests.instance_task import reference
from tests.instance_task.shapes import box_of, shape

SIDE, SIZE = 12, 8
# A disc at the border of the image, and a triangle; both as many pixels wide as a kept mask has cells.
OBJECTS = np.stack([shape(1, 0, 28, SIDE), shape(0, 15, 3, SIDE)])
BOXES = np.array([[x, y, x + width, y + height] for x, y, width, height in map(box_of, OBJECTS)], np.float32)
BATCH = {
    "boxes": jnp.asarray(np.stack([BOXES, np.zeros((2, 4), np.float32)])),
    "masks": jnp.asarray(
        np.stack(
            [
                np.stack([in_box(encoded(mask), box, SIDE) for mask, box in zip(OBJECTS, BOXES, strict=True)]),
                np.zeros((2, SIDE, SIDE), bool),
            ]
        )
    ),
}
# Of the first image: the box itself, one that reaches out of the image, one beside its object, one of no area, background and
# padding; the second image has no object.
INDEX = np.array([[0, 0, 1, 1, -1, -1], [-1] * 6])
REGION_BOXES = np.zeros((2, 6, 4), np.float32)
REGION_BOXES[0] = [BOXES[0], [24.5, -4, 47, 9.25], [0, 18.2, 11.7, 31], [5, 20, 5, 20], [2, 2, 9, 9], [0] * 4]
REGIONS = Regions(
    boxes=jnp.asarray(REGION_BOXES),
    labels=jnp.asarray(np.where(INDEX >= 0, 1 - INDEX, -1)),
    index=jnp.asarray(INDEX),
    truth=jnp.asarray(np.where((INDEX >= 0)[..., None], BOXES[INDEX], REGION_BOXES)),
    counted=jnp.ones((2, 6), bool),
    places=jnp.zeros((2, 6), jnp.int32),
)
POSITIVE = (INDEX >= 0).reshape(-1)


def targets(ratio=2):
    return MaskInputs(SIZE, ratio).targets(REGIONS, BATCH)


def logits():
    return np.random.default_rng(0).normal(0, 2, (2, 6, SIZE, SIZE)).astype(np.float32)


@pytest.mark.parametrize("ratio", [1, 2, 3])
def test_masks_of_regions_are_cut_out_of_the_image(ratio):
    found = np.asarray(targets(ratio))
    for slot in range(3):
        wanted = reference.region_mask(OBJECTS[INDEX[0, slot]], REGION_BOXES[0, slot], SIZE, ratio)
        assert 0.1 < wanted.mean() < 0.9
        np.testing.assert_array_equal(found[0, slot], wanted)
    assert not found[0, 4:].any()
    assert not found[1].any()


def test_a_region_without_an_area_is_all_of_the_object_or_nothing():
    (found,) = {bool(value) for value in np.asarray(targets()[0, 3]).ravel()}
    assert found == OBJECTS[1][20, 5]


def test_a_kept_mask_need_not_have_the_size_of_its_object():
    """At twice the size every cell is a quarter of a pixel: only cells at the edge may differ."""
    masks = np.stack([in_box(encoded(mask), box, 2 * SIDE) for mask, box in zip(OBJECTS, BOXES, strict=True)])
    found = MaskInputs(SIZE).targets(
        jax.tree.map(lambda leaf: leaf[:1], REGIONS), {"boxes": BATCH["boxes"][:1], "masks": masks[None]}
    )
    assert np.mean(np.asarray(found[0]) != np.asarray(targets()[0])) < 0.05


def test_an_object_whose_box_has_no_area_is_finite():
    found = MaskInputs(SIZE).targets(REGIONS, {**BATCH, "boxes": jnp.zeros((2, 2, 4))})
    assert found.shape == (2, 6, SIZE, SIZE)
    assert not found[0, 2].any()


def test_the_branch_offers_object_and_background():
    made = MaskInputs(SIZE)(jnp.asarray(logits()), targets(), REGIONS.positive)
    inside = np.asarray(targets()).reshape(12, SIZE, SIZE)
    flat = logits().reshape(12, SIZE, SIZE)
    np.testing.assert_allclose(made.arrays["prediction"][..., 0], 1 / (1 + np.exp(-flat)), rtol=1e-5)
    np.testing.assert_allclose(jnp.sum(made.arrays["prediction"], axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(made.arrays["target"], np.stack([inside, ~inside], axis=-1))
    np.testing.assert_array_equal(made.mask[..., 0], np.broadcast_to(POSITIVE[:, None, None], inside.shape))


def test_the_cross_entropy_is_the_binary_one_of_positive_regions():
    wanted, slopes = reference.binary_cross_entropy(
        logits().astype(np.float64).reshape(12, SIZE, SIZE), np.asarray(targets()).reshape(12, SIZE, SIZE), POSITIVE
    )
    loss, made = family("cross_entropy"), MaskInputs(SIZE)

    def of(values):
        inputs = made(values, targets(), REGIONS.positive)
        return mean_loss(loss.values(inputs), inputs)

    value, gradient = jax.value_and_grad(of)(jnp.asarray(logits()))
    assert value == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(gradient.reshape(12, SIZE, SIZE), slopes, rtol=1e-4, atol=1e-7)


def test_dice_is_that_of_each_region():
    inside = np.asarray(targets()).reshape(12, SIZE, SIZE)
    loss, made = family("region_dice"), MaskInputs(SIZE)

    def of(values):
        inputs = made(values, targets(), REGIONS.positive)
        return mean_loss(loss.values(inputs), inputs)

    value, gradient = jax.value_and_grad(of)(jnp.asarray(logits()))
    double = logits().astype(np.float64).reshape(12, SIZE, SIZE)
    assert value == pytest.approx(reference.dice(double, inside, POSITIVE), rel=1e-5)
    step = np.zeros_like(double)
    step[1, 2, 3] = 1e-5
    slope = (reference.dice(double + step, inside, POSITIVE) - reference.dice(double - step, inside, POSITIVE)) / 2e-5
    assert gradient[0, 1, 2, 3] == pytest.approx(slope, rel=1e-3)
    assert not np.any(np.asarray(gradient).reshape(12, SIZE, SIZE)[~POSITIVE])


@pytest.mark.parametrize("name", ["cross_entropy", "region_dice", "region_jaccard"])
def test_a_batch_without_objects_has_no_loss(name):
    loss, made = family(name), MaskInputs(SIZE)

    def of(values):
        inputs = made(values, targets(), jnp.zeros((2, 6), bool))
        return mean_loss(loss.values(inputs), inputs)

    value, gradient = jax.value_and_grad(of)(jnp.asarray(logits()))
    assert value == 0
    assert not np.any(gradient)


@pytest.mark.parametrize("name", ["cross_entropy", "region_dice", "region_jaccard"])
def test_right_masks_have_the_least_loss(name):
    loss, made = family(name), MaskInputs(SIZE)

    def of(sign):
        inputs = made(sign * 20.0 * (2.0 * targets() - 1), targets(), REGIONS.positive)
        return float(mean_loss(loss.values(inputs), inputs))

    assert of(1) == pytest.approx(0, abs=1e-4)
    assert of(-1) > 0.5


def test_logits_are_those_of_the_class_of_a_region():
    values = jnp.arange(24.0).reshape(1, 3, 2, 2, 2)
    np.testing.assert_array_equal(of_class(values, jnp.array([[1, 0, -1]]))[0], [values[0, 0, ..., 1], *values[0, 1:, ..., 0]])
