"""RoIAlign: values and gradients are those of the reference, also for boxes that are hardly any."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.tasks.models.detection.roi_align import levels_of, roi_align
from tests.two_stage_task import reference

STRIDES, SIZE, RATIO, CELLS = (4, 8), 2, 2, 3.0
SHAPES = ((6, 7), (3, 4))  # of an image of 24 x 28 pixels
BOXES = np.array(
    [
        (3.0, 2.0, 15.0, 11.0),
        (3.0, 2.0, 15.0, 11.0),  # coincides
        (0.0, 0.0, 28.0, 24.0),  # on the coarse level
        (-9.0, -5.0, 6.0, 8.0),  # reaches out of the image
        (40.0, 40.0, 60.0, 50.0),  # lies outside
        (10.0, 10.0, 10.0, 18.0),  # no area
        (12.0, 12.0, 12.0, 12.0),  # a point
        (20.0, 18.0, 28.0, 24.0),  # in the corner
        (1.0, 1.0, 9.0, 9.0),  # padding
    ],
    np.float32,
)
VALID = np.array([True] * 8 + [False])


def maps(seed=0):
    random = np.random.default_rng(seed)
    return tuple(random.normal(size=(2, *shape, 3)) for shape in SHAPES)


def both_images():
    return np.stack([BOXES, BOXES[::-1]]), np.stack([VALID, VALID[::-1]])


@pytest.fixture(scope="module")
def pooled():
    """A jitted function of maps and boxes, in float64."""

    @jax.jit
    def pool(pyramid, boxes, valid):
        return roi_align(pyramid, STRIDES, boxes, valid, SIZE, RATIO, CELLS)

    return pool


def test_values_are_those_of_the_reference(pooled):
    pyramid, (boxes, valid) = maps(), both_images()
    found = pooled(pyramid, boxes, valid)
    for image in range(2):
        own = [one[image] for one in pyramid]
        wanted = reference.roi_align(own, STRIDES, boxes[image], valid[image], SIZE, RATIO, CELLS)
        np.testing.assert_allclose(found[image], wanted, rtol=2e-5, atol=2e-5)
    np.testing.assert_array_equal(found[0, 0], found[0, 1])
    assert not np.any(found[0, 4])
    assert not np.any(found[0, 8])


def test_gradients_are_those_of_the_reference(pooled):
    """RoIAlign is linear in the maps: its gradient is what the reference gives for maps of a single one."""
    (boxes, valid), weights = both_images(), np.random.default_rng(1).normal(size=(2, len(BOXES), SIZE, SIZE, 3))
    gradients = jax.jit(jax.grad(lambda pyramid: jnp.sum(pooled(pyramid, boxes, valid) * weights)))(maps())
    for level, shape in enumerate(SHAPES):
        for row, column in ((0, 0), (1, 2), (shape[0] - 1, shape[1] - 1)):
            single = [np.zeros((*one, 3)) for one in SHAPES]
            single[level][row, column] = 1
            effect = reference.roi_align(single, STRIDES, boxes[0], valid[0], SIZE, RATIO, CELLS)
            wanted = (effect * weights[0]).sum(axis=(0, 1, 2))
            np.testing.assert_allclose(gradients[level][0, row, column], wanted, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_a_side_is_the_slope_there(pooled):
    pyramid, (boxes, valid) = maps(), both_images()
    whole = jax.jit(jax.grad(lambda own: jnp.sum(pooled(pyramid, own, valid)[0, 0])))
    one_map = [one[0] for one in pyramid]
    for side in range(4):
        ends = []
        for step in (-1e-3, 1e-3):
            moved = boxes[0, :1].astype(np.float64)
            moved[0, side] += step
            ends.append(reference.roi_align(one_map, STRIDES, moved, [True], SIZE, RATIO, CELLS).sum())
        assert whole(boxes)[0, 0, side] == pytest.approx((ends[1] - ends[0]) / 2e-3, rel=2e-3, abs=2e-3)
    assert np.all(np.isfinite(whole(boxes)))


def test_a_box_is_cut_out_of_the_level_of_its_size():
    """224 pixels are on the level of stride 16 (Lin et al., CVPR 2017, Eq. 1)."""
    sides = np.array([1.0, 0.0, 111.9, 112.0, 223.9, 224.0, 447.9, 448.0, 5000.0])
    boxes = np.stack([0 * sides, 0 * sides, sides, sides], axis=-1).astype(np.float32)
    np.testing.assert_array_equal(levels_of(boxes, (4, 8, 16, 32)), [0, 0, 0, 1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(levels_of(boxes, (8, 16)), [0, 0, 0, 0, 0, 1, 1, 1, 1])
