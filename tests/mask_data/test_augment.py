"""Random scale, crop and mirror image of images and masks together."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.masks.augment import flip, make_mask_augmentation, scale_crop_flip, scale_crop_flip_one

GENERATOR = np.random.default_rng(0)
HEIGHT, WIDTH = 12, 16
IMAGES = GENERATOR.integers(0, 255, (200, HEIGHT, WIDTH, 3)).astype(np.uint8)
MASKS = GENERATOR.integers(0, 21, (200, HEIGHT, WIDTH)).astype(np.uint8)
BATCH = {"image": jnp.asarray(IMAGES), "mask": jnp.asarray(MASKS), "row": jnp.arange(200)}


def changed(function, key=0, **settings):
    found = jax.jit(functools.partial(function, **settings))(BATCH, jax.random.key(key))
    return {name: np.asarray(array) for name, array in found.items()}


def test_without_a_scale_pixels_only_move():
    """Every window of every image is one of its own, mirrored or not, with the mask of the same place."""
    found = changed(scale_crop_flip, crop_size=(10, 12), scales=(1.0, 1.0))
    assert found["image"].dtype == found["mask"].dtype == np.uint8
    np.testing.assert_array_equal(found["row"], np.arange(200))
    places = []
    for image, mask, before, mask_before in zip(found["image"], found["mask"], IMAGES, MASKS, strict=True):
        matches = [
            (row, column, mirrored)
            for mirrored in (False, True)
            for row in range(3)
            for column in range(5)
            if (window(before, row, column, mirrored) == image).all()
            and (window(mask_before, row, column, mirrored) == mask).all()
        ]
        assert len(matches) == 1
        places += matches
    # Each of the 30 places is drawn, none far more often than 200 / 30.
    counts = np.unique(places, axis=0, return_counts=True)[1]
    assert len(counts) == 30
    assert counts.max() < 20


def window(array, row, column, mirrored):
    array = array[:, ::-1] if mirrored else array
    return array[row : row + 10, column : column + 12]


@pytest.mark.parametrize("scale", [2.0, 1.5, 0.75])
def test_scaling_is_that_of_an_independent_implementation(scale):
    """PyTorch's rule (half pixels, no widened filter) in NumPy for the image, the nearest pixel for the mask."""
    size = round(HEIGHT * scale), round(WIDTH * scale)
    found = changed(scale_crop_flip, crop_size=size, scales=(scale, scale), mirror=False)
    weights = [bilinear(before, after) for before, after in zip((HEIGHT, WIDTH), size, strict=True)]
    expected = np.einsum("hH,wW,nHWc->nhwc", *weights, IMAGES.astype(float))
    np.testing.assert_allclose(found["image"], expected, atol=0.51)
    rows, columns = (nearest(before, after) for before, after in zip((HEIGHT, WIDTH), size, strict=True))
    np.testing.assert_array_equal(found["mask"], MASKS[:, rows][:, :, columns])


def bilinear(before, after):
    places = ((np.arange(after) + 0.5) * before / after - 0.5).clip(0, before - 1)
    return np.maximum(0, 1 - abs(places[:, None] - np.arange(before)))


def nearest(before, after):
    """The pixel whose middle is nearest, in whole numbers; of two that are equally near, the second."""
    distances = abs((2 * np.arange(after)[:, None] + 1) * before - (2 * np.arange(before)[::-1] + 1) * after)
    return before - 1 - distances.argmin(axis=1)


def test_what_lies_beyond_the_scaled_image_is_void():
    found = changed(scale_crop_flip, crop_size=(14, 14), scales=(0.5, 2.0), pixel=(1.0, 0.0, 0.0))
    void = found["mask"] == 255
    # A whole stripe at the bottom, a whole stripe at the right, as the scale says; nothing else.
    heights, widths = (~void[:, :, 0]).sum(axis=1), (~void[:, 0, :]).sum(axis=1)
    for one, height, width in zip(void, heights, widths, strict=True):
        assert not one[:height, :width].any()
        assert one[height:].all()
        assert one[:, width:].all()
    # Proportions stay, to a pixel of rounding.
    smaller = heights < 14
    assert (abs(widths - np.minimum(heights * WIDTH / HEIGHT, 14))[smaller] < 1.2).all()
    assert widths.min() < 10
    # No pixel of the images is pure red.
    np.testing.assert_array_equal((found["image"] == [255, 0, 0]).all(axis=-1), void)
    # Heights follow the scale, uniform from 0.5 to 2 times 12 pixels, of which 14 are seen.
    assert heights.min() in (6, 7)
    assert abs((heights == 14).mean() - (2 - 13.5 / 12) / 1.5) < 0.1
    assert abs(np.median(heights[heights < 14]) - (6 + 13.5) / 2) <= 1.5


def test_scale_and_place_are_drawn_apart():
    """Images that say at every pixel where it is."""
    rows, columns = np.mgrid[:40, :40].astype(np.float32)
    image = jnp.broadcast_to(jnp.stack([rows, columns], axis=-1) + 0.5, (400, 40, 40, 2))
    batch = {"image": image, "mask": jnp.zeros((400, 40, 40), jnp.uint8)}
    change = functools.partial(scale_crop_flip, crop_size=(20, 20), scales=(1.0, 2.0))
    found = np.asarray(jax.jit(change)(batch, jax.random.key(0))["image"])
    middle = found[:, 9:11, 9:11].mean(axis=(1, 2))
    step = abs(found[:, 10, 10] - found[:, 9, 9])
    scale = 1 / step[:, 0]
    np.testing.assert_allclose(step[:, 1], step[:, 0], rtol=0.03)
    mirrored = found[:, 10, 10, 1] < found[:, 9, 9, 1]
    # Where the window lies, 0 at the one border and 1 at the other.
    places = (middle * scale[:, None] - 10) / (40 * scale[:, None] - 20)
    drawn = np.corrcoef(np.column_stack([scale, places, mirrored]).T)
    assert abs(drawn - np.eye(4)).max() < 0.2
    for one in (scale - 1, *places.T):
        np.testing.assert_allclose(np.quantile(one, (0.0, 0.25, 0.5, 0.75, 1.0)), (0, 0.25, 0.5, 0.75, 1), atol=0.08)
    assert abs(mirrored.mean() - 0.5) < 0.08


def test_randomness_is_that_of_the_key():
    settings = {"crop_size": (8, 8)}
    first, again, other = (changed(scale_crop_flip, key, **settings) for key in (3, 3, 4))
    np.testing.assert_array_equal(first["image"], again["image"])
    assert (first["image"] != other["image"]).any(axis=(1, 2, 3)).mean() > 0.95
    # One image at a time, each with its key.
    one = functools.partial(scale_crop_flip_one, crop_size=(8, 8))
    keys = jax.random.split(jax.random.key(3), 200)
    image, mask = jax.jit(one)(BATCH["image"][5], BATCH["mask"][5], keys[5])
    np.testing.assert_array_equal(image, first["image"][5])
    np.testing.assert_array_equal(mask, first["mask"][5])


def test_floats_are_not_rounded():
    image = jnp.asarray(IMAGES[0] / 255, jnp.float32)
    change = functools.partial(scale_crop_flip_one, crop_size=(30, 30), scales=(1.5, 1.5), pixel=0.25)
    found, mask = jax.jit(change)(image, BATCH["mask"][0].astype(jnp.int32), jax.random.key(0))
    assert (found.dtype, mask.dtype) == (jnp.float32, jnp.int32)
    np.testing.assert_array_equal(np.unique(found[18:]), [0.25])
    assert (np.asarray(mask)[18:] == 255).all()
    assert len(np.unique(found)) > 500


def test_flip():
    found = changed(flip)
    mirrored = np.array([(image == before[:, ::-1]).all() for image, before in zip(found["image"], IMAGES, strict=True)])
    assert 70 < mirrored.sum() < 130
    np.testing.assert_array_equal(found["image"][~mirrored], IMAGES[~mirrored])
    np.testing.assert_array_equal(found["mask"], np.where(mirrored[:, None, None], MASKS[:, :, ::-1], MASKS))


def test_augmentations_by_name():
    assert make_mask_augmentation("none", {}) is None
    assert make_mask_augmentation("flip", {}) is not None
    augment = make_mask_augmentation("scale_crop_flip", {"crop_size": (8, 6), "scales": (0.5, 1.0)})
    shapes = jax.eval_shape(augment, BATCH, jax.random.key(0))
    assert (shapes["image"].shape, shapes["mask"].shape) == ((200, 8, 6, 3), (200, 8, 6))
    for name, options, message in (
        ("flips", {}, "Did you mean 'flip'"),
        ("scale_crop_flip", {}, "needs the option crop_size"),
        ("scale_crop_flip", {"scale": 1}, "option of the augmentation 'scale_crop_flip' 'scale'. Did you mean 'scales'"),
    ):
        with pytest.raises(UserError, match=message):
            make_mask_augmentation(name, options)
    for settings, message in (
        ({"crop_size": (0, 8)}, "crop_size must be"),
        ({"crop_size": (8, 8), "scales": (2.0, 0.5)}, r"scales must be .*, not \(2.0, 0.5\)"),
        ({"crop_size": (8, 8), "pixel": 200}, "one number of 0 to 1"),
    ):
        with pytest.raises(UserError, match=message):
            jax.eval_shape(make_mask_augmentation("scale_crop_flip", settings), BATCH, jax.random.key(0))
