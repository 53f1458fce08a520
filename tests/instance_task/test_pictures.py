"""Masks as pictures: what belongs to an object is tinted, where it is true and where a network finds it."""

import jax
import numpy as np
import pytest

from jaxloss.tasks.base import TEST
from jaxloss.tasks.check_pictures import check_pictures
from jaxloss.tasks.detection.pictures import TRUTH
from tests.instance_task.shapes import CLASSES, SIZE

NETWORK = "mine"


@pytest.fixture(scope="module")
def shown(task):
    """Examples with an object each, what a network would find that sees the left half of each, and the sheet."""
    examples = jax.device_get(task.data[TEST])
    rows = np.flatnonzero(examples["valid"][:, 0] & ~examples["crowd"][:, 0])
    examples = {name: array[rows] for name, array in examples.items()}
    half = np.zeros((len(rows), 1, 14, 14), np.uint8)
    half[..., :7] = 255
    found = {
        "boxes": examples["boxes"][:, :1],
        "scores": np.ones((len(rows), 1), np.float32),
        "labels": examples["labels"][:, :1].astype(np.int32),
        "masks": half,
    }
    return examples, task.pictures.draw(examples, {NETWORK: found})


def tinted(picture, ground, colour):
    """Where a picture is half of its ground and half of a colour, at the size of the images."""
    scale = picture.shape[0] // SIZE[0]
    middles = picture[scale // 2 :: scale, scale // 2 :: scale]
    return (middles == (ground.astype(np.uint16) + colour) // 2).all(axis=-1)


def test_a_true_mask_is_tinted_by_the_pixel(shown):
    """An image is bright where there is a disc, and dark where there is a triangle."""
    examples, sheet = shown
    colours = {key.words: key.swatch[0, 0] for key in sheet.legend}
    for row, image in enumerate(examples["image"]):
        label = examples["labels"][row, 0]
        there = tinted(sheet.columns[TRUTH][row], image, colours[CLASSES[label]])
        left, top, right, bottom = examples["boxes"][row, 0].astype(int)
        own = image.mean(axis=-1)[top:bottom, left:right]
        belongs = own > 170 if label else own < 75
        # But for the line of the box, which is laid over its edge.
        inner = np.s_[1:-1, 1:-1]
        np.testing.assert_array_equal(there[top:bottom, left:right][inner], belongs[inner])
        assert 0.4 < belongs.mean() < 0.9


def test_what_a_network_finds_is_tinted_where_it_is_probable(shown):
    examples, sheet = shown
    colours = {key.words: key.swatch[0, 0] for key in sheet.legend}
    for row, image in enumerate(examples["image"]):
        there = tinted(sheet.columns[NETWORK][row], image, colours[CLASSES[examples["labels"][row, 0]]])
        left, top, right, bottom = examples["boxes"][row, 0].astype(int)
        middle = (left + right) / 2
        inside = there[top + 1 : bottom - 1]
        assert inside[:, left + 1 : int(middle)].all()
        assert not inside[:, int(np.ceil(middle)) : right].any()


def test_the_task_draws_its_test_images(task):
    check_pictures(task, jax.eval_shape(task.init, jax.random.key(0)))
