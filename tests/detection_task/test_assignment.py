"""The assignment of FCOS, against a NumPy reference."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.tasks.detection.assignment import FCOSAssignment, centreness
from jaxloss.tasks.detection.locations import Locations
from tests.detection_task import reference

SIZE, STRIDES = (40, 56), (8, 16)
CASES = {
    "none": [],
    "one": [(10, 9, 30, 29, 1, False)],
    "overlapping": [(2, 3, 34, 31, 0, False), (12, 8, 28, 24, 1, False), (12, 8, 28, 24, 2, False)],
    "on both levels": [(0, 0, 12, 12, 0, False), (14, 2, 54, 38, 1, False)],
    "in a crowd": [(0, 0, 56, 20, 2, True), (20, 5, 34, 19, 0, False)],
    "a sliver": [(10, 10, 10.5, 30, 1, False)],
}


@functools.cache
def assigner(radius, limits):
    rule = FCOSAssignment(limits, radius)
    return rule, jax.jit(functools.partial(rule, Locations.create(SIZE, STRIDES)))


@pytest.mark.parametrize(("radius", "limits"), [(1.5, (12.0,)), (0.0, (12.0,)), (1.5, ())])
@pytest.mark.parametrize("name", CASES)
def test_it_is_that_of_the_reference(radius, limits, name):
    boxes, labels, crowd = [one[:4] for one in CASES[name]], [one[4] for one in CASES[name]], [one[5] for one in CASES[name]]
    padded = np.zeros((4, 4), np.float32)
    padded[: len(boxes)] = np.reshape(boxes, (-1, 4))
    rule, assign = assigner(radius, limits)
    filled = [np.array([*given, *[0] * (4 - len(given))]) for given in (labels, crowd)]
    found = assign(padded, filled[0].astype(np.int32), np.arange(4) < len(boxes), filled[1].astype(bool))
    wanted = reference.assign(SIZE, STRIDES, rule.limits(STRIDES), radius, boxes, labels, crowd)
    np.testing.assert_array_equal(found.labels, [one[0] for one in wanted])
    np.testing.assert_array_equal(found.index, [one[1] for one in wanted])
    np.testing.assert_array_equal(found.counted, [one[2] for one in wanted])
    np.testing.assert_array_equal(found.boxes[found.positive], np.reshape([padded[k] for _, k, _ in wanted if k >= 0], (-1, 4)))
    if name in ("one", "overlapping", "in a crowd") and (name != "one" or limits):
        assert found.positive.any()


def test_the_limits_are_eight_strides_where_none_are_given():
    np.testing.assert_array_equal(FCOSAssignment().limits((8, 16, 32)), [[0, 64], [64, 128], [128, np.inf]])
    np.testing.assert_array_equal(FCOSAssignment((20.0, 45.0)).limits((8, 16, 32)), [[0, 20], [20, 45], [45, np.inf]])


def test_locations_are_the_middles_of_cells():
    found = Locations.create((17, 16), (8, 16))
    assert len(found) == 3 * 2 + 2 * 1
    np.testing.assert_array_equal(found.points[:3], [[4, 4], [12, 4], [4, 12]])
    np.testing.assert_array_equal(found.points[-2:], [[8, 8], [8, 24]])
    np.testing.assert_array_equal(found.strides, [8] * 6 + [16] * 2)


def test_centreness_is_that_of_the_paper():
    sides = jnp.array([[2.0, 2, 2, 2], [1, 2, 3, 4], [5, 1, 1, 1]])
    np.testing.assert_allclose(centreness(sides), [1, np.sqrt(1 / 3 * 2 / 4), np.sqrt(1 / 5)], rtol=1e-6)
