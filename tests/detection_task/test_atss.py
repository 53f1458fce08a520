"""Adaptive training sample selection, against a NumPy reference."""

import functools

import jax
import numpy as np
import pytest

from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.tasks.detection.atss import ATSSAssignment
from jaxloss.tasks.detection.locations import Locations
from tests.detection_task import atss_reference
from tests.detection_task.cells import make
from tests.detection_task.test_configs import BCCD, MINIATURE
from tests.errors import user_error

SIZE, STRIDES, ROOM = (40, 56), (4, 8, 32), 6
# left, top, right, bottom, label, crowd
CASES = {
    "none": [],
    "one": [(10, 9, 30, 29, 1, False)],
    "coinciding": [(12, 8, 28, 24, 2, False), (12, 8, 28, 24, 1, False), (12, 8, 28, 24.5, 0, False)],
    "neighbours": [(2, 3, 34, 31, 0, False), (12, 8, 28, 24, 1, False), (13, 20, 40, 39, 2, False)],
    "the whole image": [(0, 0, 56, 40, 1, False)],
    "on a border": [(0, 0, 8, 8, 0, False), (48, 32, 56, 40, 1, False)],
    "equally far from four": [(16, 16, 32, 32, 2, False)],
    "in a crowd": [(0, 0, 56, 20, 2, True), (20, 5, 34, 19, 0, False)],
    "a crowd alone": [(4, 4, 40, 30, 1, True)],
    "a sliver": [(10, 10, 10.5, 30, 1, False)],
    "between the locations": [(4.5, 4.5, 5.5, 5.5, 0, False)],
}


@functools.cache
def assigner(num_nearest, anchor_size, strides):
    return jax.jit(functools.partial(ATSSAssignment(num_nearest, anchor_size), Locations.create(SIZE, strides)))


def both(cases, num_nearest=9, anchor_size=8.0, strides=STRIDES, content=(0, 0, 56, 40)):
    boxes, labels, crowd = [one[:4] for one in cases], [one[4] for one in cases], [one[5] for one in cases]
    padded = np.zeros((ROOM, 4), np.float32)
    padded[: len(boxes)] = np.reshape(boxes, (-1, 4))
    filled = [np.array([*given, *[0] * (ROOM - len(given))]) for given in (labels, crowd)]
    given = padded, filled[0].astype(np.int32), np.arange(ROOM) < len(boxes), filled[1].astype(bool)
    found = assigner(num_nearest, anchor_size, strides)(*given, np.array(content, np.float32))
    wanted = atss_reference.assign(SIZE, strides, boxes, labels, crowd, num_nearest, anchor_size, content)
    return found, wanted, padded


def assert_same(found, wanted, padded):
    np.testing.assert_array_equal(found.index, [one[1] for one in wanted])
    np.testing.assert_array_equal(found.labels, [one[0] for one in wanted])
    np.testing.assert_array_equal(found.counted, [one[2] for one in wanted])
    np.testing.assert_array_equal(found.boxes[found.positive], np.reshape([padded[k] for _, k, _ in wanted if k >= 0], (-1, 4)))


# The coarsest level has four locations: fewer than 9.
@pytest.mark.parametrize(("num_nearest", "anchor_size"), [(9, 8.0), (3, 2.0)])
@pytest.mark.parametrize("name", CASES)
def test_it_is_that_of_the_reference(name, num_nearest, anchor_size):
    found, wanted, padded = both(CASES[name], num_nearest, anchor_size)
    assert_same(found, wanted, padded)
    if num_nearest == 9 and name in ("one", "coinciding", "neighbours", "on a border", "in a crowd"):
        assert found.positive.any()


def test_random_boxes_are_assigned_as_by_the_reference():
    random = np.random.default_rng(0)
    for _ in range(20):
        # Halves: distances are exact in float32, so that ties are ties.
        corners = np.sort(random.integers(0, 2 * np.array([[56], [40]]), (5, 2, 2)), axis=-1) / 2
        boxes = corners.transpose(0, 2, 1).reshape(-1, 4)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 0.5)
        cases = [(*box, int(random.integers(3)), bool(random.random() < 0.2)) for box in boxes]
        assert_same(*both(cases))


def test_equal_overlaps_are_all_at_their_mean():
    """A box inside of all its candidates' anchors, on one level: no candidate is above another, and those in the box learn it."""
    found, wanted, padded = both([(16, 12, 33, 27, 1, False)], strides=(8,), anchor_size=16.0)
    assert_same(found, wanted, padded)
    assert found.positive.sum() == 2


def test_padding_is_neither_a_candidate_nor_background():
    case = [(8, 9, 31, 36, 1, False)]
    found, wanted, padded = both(case, content=(0, 0, 32, 37))
    assert_same(found, wanted, padded)
    whole, _, _ = both(case)
    locations = Locations.create(SIZE, STRIDES)
    first_pixels = locations.points - locations.strides[:, None] / 2
    in_padding = (first_pixels[:, 0] >= 32) | (first_pixels[:, 1] >= 37)
    assert not found.counted[in_padding].any()
    assert whole.counted.all()
    # Without those in padding the nearest locations are others, and so is the threshold.
    assert (found.positive != whole.positive).any()


def test_a_task_has_it(folder):
    task = make(folder, assignment="atss", size_limits=())
    assert task.details["assignment"] == "atss"
    assert "centre_radius" not in task.details


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"assignment": "atss", "size_limits": "(9.0,)"}, "task.detection.size_limits does nothing in this run"),
        ({"assignment": "atss", "size_limits": "()", "centre_radius": "1.0"}, "task.detection.centre_radius does nothing"),
        ({"nearest_locations": "5"}, "task.detection.nearest_locations does nothing in this run: it is read with"),
        (
            {"anchor_size": "4.0"},
            "it is read with task.detection.assignment=atss, and this run has task.detection.assignment=fcos",
        ),
        ({"assignment": "ats"}, "unknown task.detection.assignment 'ats'"),
    ],
)
def test_keys_of_the_other_rule_are_refused(folder, overrides, message):
    given = {**MINIATURE, **{f"task.detection.{name}": value for name, value in overrides.items()}}
    with user_error(message):
        make_plan(load_config(str(BCCD), {"data_dir": str(folder), **given}))
