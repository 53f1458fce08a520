"""Keypoints from maps: the peak, and a quarter step to the higher neighbour."""

import jax.numpy as jnp
import numpy as np

from jaxloss.tasks.pose.decoding import decode
from jaxloss.tasks.pose.inputs import EXACT, HeatmapInputs


def reference(maps, stride):
    """One map `[h, w]` after the other, with loops."""
    count, height, width, keypoints = maps.shape
    found = np.zeros((count, keypoints, 2))
    for n, k in np.ndindex(count, keypoints):
        own = np.where(np.isnan(maps[n, :, :, k]), -np.inf, maps[n, :, :, k])
        row, column = divmod(int(own.argmax()), width)
        x, y = float(column), float(row)
        if 0 < column < width - 1:
            x += 0.25 * np.sign(own[row, column + 1] - own[row, column - 1])
        if 0 < row < height - 1:
            y += 0.25 * np.sign(own[row + 1, column] - own[row - 1, column])
        found[n, k] = (np.array([x, y]) + 0.5) * stride - 0.5
    return found


def test_it_is_the_peak_and_a_quarter_step():
    random = np.random.default_rng(0)
    maps = random.normal(size=(40, 5, 7, 3)).astype(np.float32)
    maps[0, 2, 3, 0] = np.nan
    maps[1, :, :, 1] = 0  # all are peaks: the first
    maps[2, :, :, 2] = [[0, 0, 1, 2, 1, 0, 0]] * 5  # a ridge
    keypoints, peaks = decode(jnp.asarray(maps), 4)
    np.testing.assert_allclose(keypoints, reference(maps, 4), atol=1e-5)
    np.testing.assert_array_equal(peaks, np.nanmax(maps, axis=(1, 2)))
    np.testing.assert_allclose(keypoints[1, 1], [1.5, 1.5])


def test_targets_are_decoded_to_within_a_quarter_position():
    inputs = HeatmapInputs((12, 16), 4, 1.5, EXACT)
    keypoints = np.random.default_rng(1).uniform(6, 40, (1, 50, 2)).astype(np.float32)
    maps = inputs.targets(jnp.asarray(keypoints)).transpose(0, 2, 3, 1)
    found, _ = decode(maps, 4)
    assert np.abs(found - keypoints).max() <= 1 + 1e-4
    assert np.abs(found - keypoints).max() > 0.5
