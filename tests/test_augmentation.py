"""What changes images in training: shifts, mirroring, random erasing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.erasing import erase
from jaxloss.tasks.data.preprocess import AUGMENTATIONS, crop, crop_erase, crop_flip, crop_flip_erase

COUNT, HEIGHT, WIDTH = 4000, 32, 16


def boxes(erased):
    """Height, width and area of the erased pixels of each image that has some, bool `[N, H, W]`; they must be a box."""
    heights, widths = erased.any(axis=2).sum(axis=1), erased.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(erased.sum(axis=(1, 2)), heights * widths)
    for places in (erased.any(axis=2), erased.any(axis=1)):  # no gap in a row of erased places
        assert (np.abs(np.diff(np.pad(places, ((0, 0), (1, 1))).astype(int), axis=1)).sum(axis=1) <= 2).all()
    chosen = heights > 0
    return heights[chosen], widths[chosen]


@pytest.fixture(scope="module")
def erased():
    images = jnp.ones((COUNT, HEIGHT, WIDTH, 1))
    return np.asarray(jax.jit(lambda key: erase(images, key, fill=0.0))(jax.random.key(0)))[..., 0] == 0


def test_every_second_image_gets_one_box_of_the_wanted_area(erased):
    heights, widths = boxes(erased)
    assert abs(len(heights) / COUNT - 0.5) < 0.03
    assert heights.max() < HEIGHT
    assert widths.max() < WIDTH
    area = heights * widths / (HEIGHT * WIDTH)
    # Sides are rounded to pixels: half a pixel of a side of 16 is 3%.
    assert 0.01 < area.min() < 0.03
    assert 0.38 < area.max() < 0.43
    aspect = heights / widths
    assert aspect.min() < 0.5
    assert aspect.max() > 3


def test_boxes_follow_the_law_that_is_stated(erased):
    """An independent draw in NumPy, with as many attempts as are needed."""
    generator = np.random.default_rng(0)
    area = generator.uniform(0.02, 0.4, 50_000) * HEIGHT * WIDTH
    aspect = generator.uniform(0.3, 1 / 0.3, 50_000)
    height, width = np.round(np.sqrt(area * aspect)), np.round(np.sqrt(area / aspect))
    fits = (height < HEIGHT) & (width < WIDTH)
    heights, widths = boxes(erased)
    for ours, theirs in ((heights, height[fits]), (widths, width[fits]), (heights * widths, (height * width)[fits])):
        np.testing.assert_allclose(ours.mean(), theirs.mean(), rtol=0.05)
        np.testing.assert_allclose(np.quantile(ours, (0.1, 0.5, 0.9)), np.quantile(theirs, (0.1, 0.5, 0.9)), rtol=0.15)
    # Anywhere: as often at the left as at the right, as often at the top as at the bottom.
    share = erased.mean(axis=0)
    np.testing.assert_allclose(share, share[::-1, ::-1], atol=0.03)


def test_fills():
    images = np.random.default_rng(0).integers(1, 255, (64, 12, 8, 3)).astype(np.uint8)

    def painted(images, fill):
        changed = np.asarray(erase(jnp.asarray(images), jax.random.key(1), 1.0, fill=fill))
        assert changed.dtype == images.dtype
        return changed[(changed != images).any(axis=-1)]

    mean = painted(images, "mean")
    np.testing.assert_array_equal(mean, np.broadcast_to(np.round(images.mean(axis=(0, 1, 2))), mean.shape))
    np.testing.assert_array_equal(np.unique(painted(images, (0.0, 1.0, 0.2)), axis=0), [[0, 255, 51]])
    noise = painted(images, "random")
    assert noise.min() < 3
    assert noise.max() > 252
    floats = (images / 255).astype(np.float32)
    np.testing.assert_allclose(np.unique(painted(floats, 0.25)), 0.25)
    noise = painted(floats, "random")
    assert 0 <= noise.min() < 0.01
    assert 0.99 < noise.max() < 1


def test_images_into_which_no_box_fits_stay():
    images = jnp.ones((50, 4, 4, 1))
    np.testing.assert_array_equal(erase(images, jax.random.key(0), 1.0, (0.9, 0.95), (9.0, 10.0), fill=0.0), images)
    assert (erase(images, jax.random.key(0), 0.0, fill=0.0) == 1).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"probability": 1.5}, "probability 1.5"),
        ({"area": (0.5, 0.1)}, r"area \(0.5, 0.1\)"),
        ({"fill": "black"}, "not 'black'"),
    ],
)
def test_erasing_that_cannot_be(settings, message):
    with pytest.raises(UserError, match=message):
        erase(jnp.ones((2, 4, 4, 1)), jax.random.key(0), **settings)


def test_what_the_augmentations_are_made_of():
    """Two opposite corners tell a shift from a mirroring; the others' marks tell that nothing else is done."""
    image = np.zeros((1, 9, 9, 1), np.uint8)
    image[0, 4, 4], image[0, 4, 5] = 100, 200  # 200 is right of 100, unless the image is mirrored
    batch = {"image": jnp.asarray(np.repeat(image, 200, axis=0)), "label": jnp.arange(200)}

    def mirrored(function, **settings):
        changed = jax.jit(lambda batch, key: function(batch, key, **settings))(batch, jax.random.key(3))
        np.testing.assert_array_equal(changed["label"], batch["label"])
        result = np.asarray(changed["image"])[..., 0]
        return np.array([np.argwhere(one == 200)[0, 1] < np.argwhere(one == 100)[0, 1] for one in result])

    assert not mirrored(crop, padding=2).any()
    assert 60 < mirrored(crop_flip, padding=2).sum() < 140
    assert not mirrored(crop_erase, padding=2, probability=0.0).any()
    assert 60 < mirrored(crop_flip_erase, padding=2, probability=0.0).sum() < 140
    for function in (crop_erase, crop_flip_erase):
        changed = np.asarray(function(batch, jax.random.key(0), padding=0, probability=1.0, fill=1.0)["image"])
        assert ((changed == 255).sum(axis=(1, 2, 3)) > 0).all()


@pytest.mark.parametrize("name", [name for name, function in AUGMENTATIONS.items() if function])
def test_every_augmentation_keeps_shape_and_type(name):
    batch = {"image": jnp.ones((3, 24, 12, 3), jnp.uint8), "label": jnp.arange(3)}
    changed = jax.eval_shape(AUGMENTATIONS[name], batch, jax.random.key(0))
    assert {key: (array.shape, array.dtype) for key, array in changed.items()} == {
        key: (array.shape, array.dtype) for key, array in batch.items()
    }
