"""What changes images in training: shifts, mirroring, random erasing; and their standard scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.erasing import erase
from jaxloss.tasks.data.preprocess import AUGMENTATIONS, crop, crop_erase, crop_flip, crop_flip_erase, standardise

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

    floats = (images / 255).astype(np.float32)
    cases = ((images, "mean"), (images, (0.0, 1.0, 0.2)), (images, "random"), (floats, 0.25), (floats, "random"))
    results = jax.jit(lambda key: [erase(jnp.asarray(before), key, 1.0, fill=fill) for before, fill in cases])(jax.random.key(1))
    painted = []
    for (before, _), after in zip(cases, map(np.asarray, results), strict=True):
        assert after.dtype == before.dtype
        painted.append(after[(after != before).any(axis=-1)])
    mean, colour, noise, grey, float_noise = painted
    np.testing.assert_array_equal(mean, np.broadcast_to(np.round(images.mean(axis=(0, 1, 2))), mean.shape))
    np.testing.assert_array_equal(np.unique(colour, axis=0), [[0, 255, 51]])
    assert noise.min() < 3
    assert noise.max() > 252
    np.testing.assert_allclose(np.unique(grey), 0.25)
    assert 0 <= float_noise.min() < 0.01
    assert 0.99 < float_noise.max() < 1


def test_images_into_which_no_box_fits_stay():
    images = jnp.ones((50, 4, 4, 1))
    changed = jax.jit(lambda key: erase(images, key, 1.0, (0.9, 0.95), (9.0, 10.0), fill=0.0))(jax.random.key(0))
    np.testing.assert_array_equal(changed, images)


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
        jax.eval_shape(lambda key: erase(jnp.ones((2, 4, 4, 1)), key, **settings), jax.random.key(0))


def test_what_the_augmentations_are_made_of():
    """Two dots beside each other tell a shift from a mirroring."""
    image = np.zeros((1, 9, 9, 1), np.uint8)
    image[0, 4, 4], image[0, 4, 5] = 100, 200  # 200 is right of 100, unless the image is mirrored
    batch = {"image": jnp.asarray(np.repeat(image, 200, axis=0)), "label": jnp.arange(200)}
    no_box, boxes_only = {"padding": 2, "probability": 0.0}, {"padding": 0, "probability": 1.0, "fill": 1.0}
    cases = {
        "crop": (crop, {"padding": 2}),
        "flip": (crop_flip, {"padding": 2}),
        "crop_erase": (crop_erase, no_box),
        "flip_erase": (crop_flip_erase, no_box),
        "crop_box": (crop_erase, boxes_only),
        "flip_box": (crop_flip_erase, boxes_only),
    }
    changed = jax.jit(lambda key: {name: function(batch, key, **settings) for name, (function, settings) in cases.items()})(
        jax.random.key(3)
    )
    images = {name: np.asarray(one["image"])[..., 0] for name, one in changed.items()}

    def mirrored(name):
        return sum(np.argwhere(one == 200)[0, 1] < np.argwhere(one == 100)[0, 1] for one in images[name])

    assert mirrored("crop") == mirrored("crop_erase") == 0
    assert 60 < mirrored("flip") < 140
    assert 60 < mirrored("flip_erase") < 140
    for name in ("crop_box", "flip_box"):
        assert (images[name] == 255).any(axis=(1, 2)).all()
    for one in changed.values():
        np.testing.assert_array_equal(one["label"], batch["label"])


@pytest.mark.parametrize("name", [name for name, function in AUGMENTATIONS.items() if function])
def test_every_augmentation_keeps_shape_and_type(name):
    batch = {"image": jnp.ones((3, 24, 12, 3), jnp.uint8), "label": jnp.arange(3)}
    changed = jax.eval_shape(AUGMENTATIONS[name], batch, jax.random.key(0))
    assert {key: (array.shape, array.dtype) for key, array in changed.items()} == {
        key: (array.shape, array.dtype) for key, array in batch.items()
    }


def test_crop_flip_only_moves_and_mirrors():
    images = np.random.default_rng(0).integers(1, 256, (24, 6, 6, 2)).astype(np.uint8)
    batch = {"image": jnp.asarray(images), "label": jnp.arange(24)}
    changed = jax.jit(crop_flip)(batch, jax.random.key(0))
    np.testing.assert_array_equal(changed["label"], np.arange(24))
    assert changed["image"].dtype == jnp.uint8
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    found = []
    for index, image in enumerate(np.asarray(changed["image"])):
        windows = {
            (row, column, mirrored): padded[index, row : row + 6, column : column + 6][:, :: -1 if mirrored else 1]
            for row in range(9)
            for column in range(9)
            for mirrored in (False, True)
        }
        matches = [place for place, window in windows.items() if (window == image).all()]
        assert matches
        found.append(matches[0])
    assert {mirrored for *_, mirrored in found} == {False, True}
    assert len(set(found)) > 12


def test_standardise():
    images = jnp.asarray(np.full((1, 2, 2, 2), 255, np.uint8))
    np.testing.assert_allclose(standardise(images, 0.5, (0.25, 0.5))[0, 0, 0], [2.0, 1.0])
    np.testing.assert_allclose(standardise(jnp.full((1, 2, 2, 1), 0.75), 0.5, 0.25), 1.0)
