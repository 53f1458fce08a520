"""Random changes move images and keypoints together."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.tasks.data.keypoints.augment import affine, flip, make_keypoint_augmentation
from jaxloss.tasks.pose.task import mirrored_keypoints
from tests.errors import user_error
from tests.pose_task.puppets import NAMES

SIZE, PAIRS = (24, 30), {"left_hand": "right_hand"}
MIRRORED = mirrored_keypoints(NAMES, PAIRS)


def batch(count=12):
    """Images with a bright square of its own shade around each keypoint."""
    random = np.random.default_rng(0)
    places = np.stack([random.integers(8, SIZE[1] - 8, (count, 4)), random.integers(8, SIZE[0] - 8, (count, 4))], axis=-1)
    images = np.zeros((count, *SIZE, 4), np.uint8)
    for row, k in np.ndindex(count, 4):
        x, y = places[row, k]
        images[row, y - 1 : y + 2, x - 1 : x + 2, k] = 200
    return {
        "image": jnp.asarray(images),
        "keypoints": jnp.asarray(places, jnp.float32),
        "visible": jnp.asarray(places[..., 0] > 9),
    }


def middles(images):
    """x and y of the middle of each channel `[N, C, 2]`."""
    weights = np.asarray(images, float)
    y, x = np.indices(SIZE)[..., None]
    total = weights.sum(axis=(1, 2))
    return np.stack([(weights * x).sum(axis=(1, 2)), (weights * y).sum(axis=(1, 2))], axis=-1) / total[..., None]


def test_a_mirror_turns_left_hands_into_right_ones():
    given = batch()
    turned = flip(given, jax.random.key(0), MIRRORED)
    was = np.asarray((turned["image"] != given["image"]).any(axis=(1, 2, 3)))
    assert 0 < was.sum() < len(was)
    np.testing.assert_array_equal(turned["keypoints"][~was], given["keypoints"][~was])
    # Channels are the keypoints as they were; those of a mirrored image have changed places.
    expected = middles(turned["image"])[was][:, MIRRORED]
    np.testing.assert_allclose(turned["keypoints"][was], expected, atol=1e-4)
    np.testing.assert_array_equal(turned["visible"][was], np.asarray(given["visible"])[was][:, MIRRORED])


def test_keypoints_are_turned_scaled_and_shifted_as_pixels_are():
    given = batch()
    change = jax.jit(functools.partial(affine, rotation=25.0, scaling=0.2, shift=0.05))
    moved = change(given, jax.random.key(1))
    assert moved["image"].dtype == jnp.uint8
    np.testing.assert_allclose(moved["keypoints"], middles(moved["image"]), atol=0.25)
    assert np.abs(moved["keypoints"] - given["keypoints"]).max() > 2


def test_no_change_is_none():
    given = batch()
    same = affine(given, jax.random.key(1), 0.0, 0.0, 0.0)
    np.testing.assert_array_equal(same["image"], given["image"])
    np.testing.assert_allclose(same["keypoints"], given["keypoints"], atol=1e-5)
    assert make_keypoint_augmentation("none", MIRRORED, 1.0, 0.0, 0.0) is None


def test_what_comes_from_outside_is_black():
    white = {**batch(4), "image": jnp.full((4, *SIZE, 3), 255, jnp.uint8)}
    image = affine(white, jax.random.key(2), 0.0, 0.0, 0.5)["image"]
    assert set(np.unique(image[:, 0])) | set(np.unique(image[:, -1])) >= {0}
    assert (np.asarray(image) == 255).mean() > 0.3


def test_pairs_that_are_none():
    with user_error("unknown keypoint in task.pose.flip_pairs 'left_foot'", "left_hand"):
        mirrored_keypoints(NAMES, {"left_foot": "head"})
    with user_error("left_hand and tail must be two keypoints that are in no other pair"):
        mirrored_keypoints(NAMES, {"right_hand": "left_hand", "left_hand": "tail"})
