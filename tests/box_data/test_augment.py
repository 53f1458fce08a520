"""Scale jitter with crop of images and boxes together, against a NumPy reference."""

import functools

import jax
import numpy as np
import pytest

from jaxloss.tasks.data.boxes.augment import flip, scale_crop_flip

HEIGHT, WIDTH, COUNT, ROOM = 24, 30, 60, 4
RANDOM = np.random.default_rng(0)


def batch():
    """Images that say of each pixel where it was: red grows to the right, green downwards. The first half is padded."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32) + 0.5
    image = np.stack([columns, rows, np.full_like(rows, 1)], axis=-1)
    corners = np.sort(RANDOM.uniform(0, 1, (COUNT, ROOM, 2, 2)), axis=2) * [20, 18]
    boxes = corners.reshape(COUNT, ROOM, 4).astype(np.float32)
    valid = np.arange(ROOM) < RANDOM.integers(0, ROOM + 1, (COUNT, 1))
    padded = np.arange(COUNT) < COUNT // 2
    return {
        "image": np.broadcast_to(image, (COUNT, HEIGHT, WIDTH, 3)).copy(),
        "boxes": boxes * valid[..., None],
        "labels": RANDOM.integers(0, 5, (COUNT, ROOM)).astype(np.int32),
        "valid": valid,
        "crowd": RANDOM.random((COUNT, ROOM)) < 0.2,
        "content": np.where(padded[:, None], [0, 0, 20, 18], [0, 0, WIDTH, HEIGHT]).astype(np.float32),
    }


BATCH = batch()


@functools.cache
def changed(crop_size, scales, mirror=True, key=0):
    change = functools.partial(scale_crop_flip, crop_size=crop_size, scales=scales, pixel=-1.0, mirror=mirror)
    return {name: np.asarray(one) for name, one in jax.jit(change)(BATCH, jax.random.key(key)).items()}


@pytest.mark.parametrize(("crop_size", "scales"), [((16, 20), (0.6, 2.0)), ((40, 36), (0.5, 1.2)), ((24, 30), (1.0, 1.0))])
def test_boxes_go_where_their_pixels_go(crop_size, scales):
    """The pixels of a window tell which line of the image they were; from two of them follows where any place has gone."""
    found = changed(crop_size, scales)
    mirrored = []
    for row in range(COUNT):
        image = found["image"][row]
        across, down = read_line(image[0, :, 0]), read_line(image[:, 0, 1])
        mirrored.append(across[0] < 0)
        for k in range(ROOM):
            wanted, is_valid = move(BATCH["boxes"][row, k], across, down, crop_size)
            is_valid &= bool(BATCH["valid"][row, k])
            if near_one_pixel(BATCH["boxes"][row, k], across, down, crop_size):
                continue
            assert found["valid"][row, k] == is_valid
            np.testing.assert_allclose(found["boxes"][row, k], wanted if is_valid else [0] * 4, atol=2e-3)
        wanted, _ = move(BATCH["content"][row], across, down, crop_size)
        np.testing.assert_allclose(found["content"][row], wanted, atol=2e-3)
    assert 0.2 < np.mean(mirrored) < 0.8
    np.testing.assert_array_equal(found["labels"], BATCH["labels"])
    np.testing.assert_array_equal(found["crowd"], BATCH["crowd"])
    if crop_size == (16, 20):
        # Some are cut away, and some are left.
        assert 0 < found["valid"].sum() < BATCH["valid"].sum()


def read_line(values):
    """`(scale, offset)` of `place in the window = scale * place in the image + offset`, from pixels between the borders.

    Pixels near the border of the image are held at the outermost ones, and those of padding are -1.
    """
    steps = np.diff(values)
    between = np.flatnonzero((np.abs(steps) > 1e-3) & (np.abs(steps) < 3) & (values[:-1] > 1) & (values[1:] > 1))
    place = between[len(between) // 2]
    scale = 1 / float(steps[place])
    return scale, place + 0.5 - float(values[place]) * scale


def move(box, across, down, crop_size):
    sides = [box[0] * across[0] + across[1], box[2] * across[0] + across[1]]
    heights = [box[1] * down[0] + down[1], box[3] * down[0] + down[1]]
    moved = [min(sides), min(heights), max(sides), max(heights)]
    cut = [min(max(value, 0), limit) for value, limit in zip(moved, crop_size[::-1] * 2, strict=True)]
    return cut, cut[2] - cut[0] >= 1 and cut[3] - cut[1] >= 1


def near_one_pixel(box, across, down, crop_size):
    cut, _ = move(box, across, down, crop_size)
    return min(abs(cut[2] - cut[0] - 1), abs(cut[3] - cut[1] - 1)) < 5e-3


def test_padding_of_the_window_is_outside_of_the_content():
    found = changed((40, 36), (0.5, 1.2))
    rows, columns = np.mgrid[:40, :36] + 0.5
    for image, content in zip(found["image"][COUNT // 2 :], found["content"][COUNT // 2 :], strict=True):
        inside = (columns < content[2]) & (columns > content[0]) & (rows < content[3]) & (rows > content[1])
        np.testing.assert_array_equal(image[..., 2] > 0, inside)


def test_a_mirrored_image_has_its_content_mirrored():
    found = {name: np.asarray(one) for name, one in jax.jit(flip)(BATCH, jax.random.key(0)).items()}
    mirrored = found["image"][:, 0, 0, 0] > 1
    assert 0 < mirrored.sum() < COUNT
    for row in range(COUNT // 2):
        np.testing.assert_array_equal(found["content"][row], [10, 0, 30, 18] if mirrored[row] else [0, 0, 20, 18])
