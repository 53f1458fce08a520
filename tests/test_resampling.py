"""Feature maps of another size: interpolation, means over windows, and the pixels of the light network."""

import jax.numpy as jnp
import numpy as np

from jaxloss.tasks.models.resampling import bilinear, doubled, window_means
from jaxloss.tasks.models.segmentation.unet import spread_pixels
from tests.test_embedding_models import normal


def interpolated(row, size):
    """One row of pixels as areas, by NumPy's own interpolation."""
    return np.interp((np.arange(size) + 0.5) * len(row) / size - 0.5, np.arange(len(row)), row)


def test_bilinear_interpolation_against_numpy():
    maps = normal(0, (1, 3, 4, 2))
    rows = np.apply_along_axis(interpolated, 1, maps, 7)
    expected = np.apply_along_axis(interpolated, 2, rows, 11)
    np.testing.assert_allclose(bilinear(jnp.asarray(maps), 7, 11), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(bilinear(maps, 3, 4), maps)


def test_means_over_windows():
    """Those of `adaptive_avg_pool2d`: of five rows, three windows are rows 0-1, 1-3 and 3-4."""
    maps = normal(0, (2, 5, 6, 3))
    rows, columns = [(0, 2), (1, 4), (3, 5)], [(0, 2), (2, 4), (4, 6)]
    expected = [[maps[:, top:bottom, left:right].mean((1, 2)) for left, right in columns] for top, bottom in rows]
    np.testing.assert_allclose(window_means(maps, 3), np.array(expected).transpose(2, 0, 1, 3), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(window_means(maps, 1)[:, 0, 0], maps.mean((1, 2)), rtol=1e-5, atol=1e-5)


def test_pixels_of_the_light_network_lie_where_they_belong():
    maps = jnp.arange(2 * 3 * 4.0).reshape(1, 2, 3, 4)
    np.testing.assert_array_equal(doubled(maps, 3, 5)[0, :, :, 0], [[0, 0, 4, 4, 8], [0, 0, 4, 4, 8], [12, 12, 16, 16, 20]])
    np.testing.assert_array_equal(
        spread_pixels(maps, 3, 5)[0, :, :, 0], [[0, 1, 4, 5, 8], [2, 3, 6, 7, 10], [12, 13, 16, 17, 20]]
    )
