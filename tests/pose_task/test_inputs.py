"""Targets, masks and offsets against a reference in NumPy, and maps as samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.reduce import mean_loss
from jaxloss.tasks.pose.inputs import EXACT, ROUNDED, HeatmapInputs

SIZE, STRIDE, SIGMA = (6, 8), 4, 1.2
# Of an image of 24 x 32 pixels: inside, on the border, beyond the map, not visible.
KEYPOINTS = np.array(
    [[[9.3, 13.1], [-0.5, 23.5], [32.4, 5.0], [12.0, 12.0]], [[1.5, 1.5], [31.5, 0.0], [3.0, -3.0], [20.0, 9.0]]]
)
VISIBLE = np.array([[1, 1, 1, 0], [1, 1, 1, 1]], bool)
COUNTED = np.array([[1, 1, 0, 0], [1, 1, 0, 1]], bool)


def batch():
    return {"keypoints": jnp.asarray(KEYPOINTS, jnp.float32), "visible": jnp.asarray(VISIBLE)}


def reference(centre):
    """Targets `[2, 4, h, w]`, one position after the other."""
    targets = np.zeros((2, 4, *SIZE))
    for n, k, row, column in np.ndindex(targets.shape):
        x, y = (KEYPOINTS[n, k] + 0.5) / STRIDE - 0.5
        if centre == ROUNDED:
            x, y = np.floor(x + 0.5), np.floor(y + 0.5)
        if abs(column - x) <= 3 * SIGMA and abs(row - y) <= 3 * SIGMA:
            targets[n, k, row, column] = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * SIGMA**2))
    return targets


@pytest.mark.parametrize("centre", [EXACT, ROUNDED])
def test_targets_are_gaussians_around_keypoints(centre):
    inputs = HeatmapInputs(SIZE, STRIDE, SIGMA, centre)
    maps = jnp.asarray(np.random.default_rng(0).normal(size=(2, *SIZE, 4)), jnp.float32)
    made = inputs(maps, batch())
    np.testing.assert_allclose(made.arrays["target"][..., 0].reshape(2, 4, *SIZE), reference(centre), atol=1e-6)
    np.testing.assert_array_equal(made.mask, np.broadcast_to(COUNTED.reshape(8, 1, 1, 1), (8, *SIZE, 1)))
    # The maps of an image follow each other, keypoint by keypoint.
    np.testing.assert_array_equal(made.arrays["prediction"][5, ..., 0], maps[1, ..., 1])
    place = (KEYPOINTS[1, 1] + 0.5) / STRIDE - 0.5
    np.testing.assert_allclose(made.arrays["offset"][5, 2, 3], np.array([3, 2]) - place, atol=1e-6)


def test_a_keypoint_in_the_middle_of_a_position_has_a_peak_of_one():
    inputs = HeatmapInputs(SIZE, STRIDE, SIGMA, EXACT)
    target = inputs.targets(jnp.array([1.5 + 4 * 3, 1.5 + 4 * 2]))
    assert target[2, 3] == 1
    assert target.max() == 1


def test_keypoints_that_do_not_count_have_no_gradient():
    inputs = HeatmapInputs(SIZE, STRIDE, SIGMA, EXACT)

    def loss(maps):
        made = inputs(maps, batch())
        return mean_loss((made.arrays["prediction"] - made.arrays["target"]) ** 2, made)

    maps = jnp.ones((2, *SIZE, 4))
    gradient = jax.grad(loss)(maps)
    np.testing.assert_array_equal(jnp.any(gradient != 0, axis=(1, 2)), COUNTED)
    expected = ((1 - reference(EXACT)) ** 2)[COUNTED].mean()
    np.testing.assert_allclose(loss(maps), expected, rtol=1e-5)
