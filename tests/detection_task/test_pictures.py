"""Boxes as pictures: what is right, what is made up and what is missed."""

import jax
import numpy as np
import pytest

from jaxloss.tasks.base import TEST
from jaxloss.tasks.check_pictures import check_pictures
from jaxloss.tasks.detection.pictures import TRUTH, draw, judge
from tests.detection_task.cells import CLASSES

TRUE = {
    "boxes": np.array([[2, 2, 12, 12], [20, 4, 30, 14], [0, 20, 40, 32], [0, 0, 0, 0]], np.float32),
    "labels": np.array([0, 1, 1, 0]),
    "valid": np.array([1, 1, 1, 0], bool),
    "crowd": np.array([0, 0, 1, 0], bool),
}
FOUND = {
    "boxes": np.array([[2, 3, 12, 12], [3, 3, 12, 12], [20, 4, 30, 14], [20, 4, 30, 14], [0] * 4], np.float32),
    "scores": np.array([0.9, 0.8, 0.7, 0.2, 0.0], np.float32),
    "labels": np.array([0, 0, 0, 1, -1], np.int32),
}


def batch(arrays):
    return {name: one[None] for name, one in arrays.items()}


def test_an_object_is_found_once_by_a_sure_box_of_its_class():
    right, missed = judge(FOUND, TRUE)
    assert right == {0: True, 1: False, 2: False}
    # The box of the right class is not sure enough; a crowd cannot be missed.
    assert missed == [1]


@pytest.fixture
def examples():
    return batch({**TRUE, "image": np.full((32, 40, 3), 100, np.uint8)})


def test_boxes_are_drawn_where_they_are(examples):
    sheet = draw(CLASSES, examples, {"mine": batch(FOUND)})
    assert list(sheet.columns) == [TRUTH, "mine"]
    truth, mine = (sheet.columns[name][0] for name in (TRUTH, "mine"))
    assert truth.shape == (384, 480, 3)
    first, second, *_, crowd = (key.swatch[0, 0] for key in sheet.legend)
    np.testing.assert_array_equal(truth[2 * 12, 5 * 12], first)
    np.testing.assert_array_equal(truth[9 * 12, 20 * 12], second)
    np.testing.assert_array_equal(truth[25 * 12, 0], crowd)
    np.testing.assert_array_equal(mine[3 * 12, 5 * 12], first)
    # What is inside stays, and the missed object has a white line of dashes.
    np.testing.assert_array_equal(truth[7 * 12, 7 * 12], [100] * 3)
    line = mine[4 * 12, 20 * 12 : 30 * 12]
    assert 0.2 < np.all(line == 255, axis=-1).mean() < 0.8 or 0.2 < np.all(line == first, axis=-1).mean() < 0.8
    assert "a crowd, which counts nowhere" in [key.words for key in sheet.legend]


def test_the_task_draws_its_test_images(task):
    check_pictures(task, jax.eval_shape(task.init, jax.random.key(0)))
    assert len(task.pictures.choose(task.data[TEST])["image"]) == min(4, len(task.data[TEST]["image"]))
