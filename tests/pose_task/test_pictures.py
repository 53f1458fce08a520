"""Keypoints as pictures: where they are, and a line from a wrong place to the right one."""

import jax
import numpy as np

from jaxloss.tasks.check_pictures import check_pictures
from jaxloss.tasks.pose.pictures import CORRECT, FOUND, TRUTH, draw

NAMES = ("a", "b", "c")
GREY = np.full((1, 40, 48, 3), 100, np.uint8)
EXAMPLES = {
    "image": GREY,
    "keypoints": np.array([[[10, 8], [40, 30], [5, 35]]], np.float32),
    "visible": np.array([[1, 1, 0]], bool),
}
OUTPUTS = {FOUND: np.array([[[10, 8], [20, 30], [30, 5]]], np.float32), CORRECT: np.array([[1, 0, 1]], bool)}


def test_they_are_drawn_where_they_are():
    sheet = draw(NAMES, EXAMPLES, {"mine": OUTPUTS})
    assert list(sheet.columns) == [TRUTH, "mine"]
    truth, mine = (sheet.columns[name][0] for name in (TRUTH, "mine"))
    assert truth.shape == (400, 480, 3)
    colours = [key.swatch[8, 12] for key in sheet.legend[:3]]
    np.testing.assert_array_equal(truth[85, 105], colours[0])
    np.testing.assert_array_equal(truth[305, 405], colours[1])
    np.testing.assert_array_equal(mine[305, 205], colours[1])
    # On the way from the wrong place to the right one, and nothing of the keypoint that is not visible.
    np.testing.assert_array_equal(mine[305, 300], [255] * 3)
    np.testing.assert_array_equal(mine[55, 305], [100] * 3)
    np.testing.assert_array_equal(truth[355, 55], [100] * 3)


def test_places_beyond_the_image_do_not_matter():
    far = {**OUTPUTS, FOUND: np.array([[[-500, 8], [20, 300], [30, 5]]], np.float32), CORRECT: np.zeros((1, 3), bool)}
    assert draw(NAMES, EXAMPLES, {"mine": far}).columns["mine"].shape == (1, 400, 480, 3)


def test_the_task_draws_its_test_images(task):
    check_pictures(task, jax.eval_shape(task.init, jax.random.key(0)))
