"""Anchors, box coding, matching, sampling and proposals: what the references in NumPy say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.tasks.detection.locations import Locations
from jaxloss.tasks.two_stage_detection.anchors import make_anchors
from jaxloss.tasks.two_stage_detection.coding import BoxCoding
from jaxloss.tasks.two_stage_detection.matching import OverlapMatching
from jaxloss.tasks.two_stage_detection.proposals import Proposer
from jaxloss.tasks.two_stage_detection.regions import RegionSampler
from jaxloss.tasks.two_stage_detection.sampling import draw
from tests.two_stage_task import reference

SIZE, STRIDES, SCALES, RATIOS = (24, 40), (8, 16), (1.5, 3.0), (0.5, 1.0, 2.0)
MEANS, DEVIATIONS = (0.1, 0.0, 0.0, -0.1), (0.1, 0.1, 0.2, 0.2)


def some_boxes(random, count, size=SIZE):
    """Boxes with an area, inside and at the border, one of them twice."""
    first = random.uniform(-4, 0.8 * np.array(size[::-1]), (count, 2))
    boxes = np.concatenate([first, first + random.uniform(3, 20, (count, 2))], axis=1)
    boxes[-1] = boxes[0]
    return boxes.astype(np.float32)


def test_anchors_are_those_of_the_reference():
    found = make_anchors(Locations.create(SIZE, STRIDES), SCALES, RATIOS)
    assert found.shape == ((3 * 5 + 2 * 3) * 6, 4)
    np.testing.assert_allclose(found, reference.anchors(SIZE, STRIDES, SCALES, RATIOS), rtol=1e-5, atol=1e-4)
    sides = found[:6, 2:] - found[:6, :2]
    np.testing.assert_allclose(sides[:, 1] / sides[:, 0], RATIOS * 2, rtol=1e-5)


def test_boxes_are_coded_and_come_back():
    random = np.random.default_rng(0)
    regions, boxes = some_boxes(random, 12), some_boxes(random, 12)
    coding = BoxCoding(MEANS, DEVIATIONS)
    deltas = coding.encode(regions, boxes)
    for row in range(12):
        np.testing.assert_allclose(
            deltas[row], reference.encode(regions[row], boxes[row], MEANS, DEVIATIONS), rtol=2e-4, atol=2e-4
        )
    np.testing.assert_allclose(coding.decode(regions, deltas), boxes, rtol=1e-4, atol=1e-3)
    wild = random.normal(0, 5, (12, 4)).astype(np.float32) * [1, 1, 8, 8]
    for row, box in enumerate(coding.decode(regions, wild)):
        np.testing.assert_allclose(box, reference.decode(regions[row], wild[row], MEANS, DEVIATIONS), rtol=2e-4, atol=2e-3)


def test_coding_is_finite_whatever_is_coded():
    regions = jnp.array([[5.0, 5, 5, 5], [0, 0, 4, 4], [0, 0, 4, 4]])
    boxes = jnp.array([[0.0, 0, 9, 9], [3, 3, 3, 3], [3, 3, 1, 1]])
    coding = BoxCoding()
    for of in (coding.encode, coding.decode):
        gradients = jax.grad(lambda one, two, of=of: jnp.sum(of(one, two)), argnums=(0, 1))(regions, boxes)
        assert all(np.all(np.isfinite(one)) for one in (of(regions, boxes), *gradients))


RULES = {"anchors": (0.7, 0.3, 0.3), "proposals": (0.5, 0.5, 2.0), "strict": (0.9, 0.1, 0.05)}


@pytest.mark.parametrize("rule", RULES)
def test_regions_learn_the_boxes_of_the_reference(rule):
    matching = jax.jit(OverlapMatching(*RULES[rule]))
    for seed in range(3):
        _compare_with_the_reference(matching, rule, np.random.default_rng(seed))


def _compare_with_the_reference(matching, rule, random):
    boxes = some_boxes(random, 6)
    regions = np.concatenate([some_boxes(random, 40), boxes, boxes + random.normal(0, 1.5, boxes.shape)]).astype(np.float32)
    # One without an area.
    regions[3, 2:] = regions[3, :2]
    region_valid = random.random(len(regions)) < 0.9
    valid, crowd = np.array([True] * 5 + [False]), np.array([False, False, True, False, False, False])
    found = matching(regions, region_valid, boxes, valid, crowd)
    index, negative = reference.matches(regions, region_valid, boxes, valid, crowd, *RULES[rule])
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_array_equal(found.negative, negative)
    assert (index >= 0).any()
    assert negative.any()


def test_coinciding_boxes_and_equal_overlaps_go_to_the_first():
    boxes = np.array([[0, 0, 8, 8], [0, 0, 8, 8], [8, 0, 16, 8]], np.float32)
    regions = np.array([[0, 0, 8, 8], [4, 0, 12, 8], [30, 30, 38, 38]], np.float32)
    everything = np.ones(3, bool)
    found = jax.jit(OverlapMatching(0.3, 0.3, 0.3))(regions, everything, boxes, everything, ~everything)
    # The second is nobody's best but for the third box, which no other touches.
    np.testing.assert_array_equal(found.index, [0, 2, -1])
    np.testing.assert_array_equal(found.negative, [False, False, True])


def test_the_best_region_of_a_box_learns_it_although_it_overlaps_another_more():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 6, 6]], np.float32)
    regions = np.array([[0, 0, 10, 10], [0, 0, 9, 9]], np.float32)
    two = np.ones(2, bool)
    found = jax.jit(OverlapMatching(0.7, 0.3, 0.3))(regions, two, boxes, two, ~two)
    np.testing.assert_array_equal(found.index, [0, 1])


def test_in_an_image_without_boxes_all_is_background():
    regions = some_boxes(np.random.default_rng(0), 8)
    nothing = np.zeros((2, 4), np.float32), np.zeros(2, bool), np.zeros(2, bool)
    found = jax.jit(OverlapMatching(0.5, 0.5, 0.3))(regions, np.arange(8) < 6, *nothing)
    np.testing.assert_array_equal(found.index, -1)
    np.testing.assert_array_equal(found.negative, np.arange(8) < 6)


@pytest.mark.parametrize(
    ("num_positive", "num_negative", "wanted"),
    [(20, 60, (4, 12)), (2, 60, (2, 14)), (0, 60, (0, 16)), (20, 3, (4, 3)), (0, 0, (0, 0)), (3, 0, (3, 0))],
)
def test_so_many_are_drawn(num_positive, num_negative, wanted):
    kinds = np.random.default_rng(0).permutation(
        np.repeat([0, 1, 2], [num_positive, num_negative, 80 - num_positive - num_negative])
    )
    found = draw(jax.random.key(1), kinds == 0, kinds == 1, 16, 0.25)
    places = np.asarray(found.places)[np.asarray(found.used)]
    assert len(set(places)) == len(places) == sum(wanted)
    np.testing.assert_array_equal(kinds[places], np.repeat([0, 1], wanted))


def test_every_region_is_drawn_equally_often():
    positive, negative = np.arange(10) < 4, np.arange(10) >= 4
    keys = jax.random.split(jax.random.key(0), 2000)
    found = jax.jit(jax.vmap(lambda key: draw(key, positive, negative, 4, 0.5)))(keys)
    counts = np.bincount(np.asarray(found.places).ravel(), minlength=10)
    # Two of four and two of six; four standard deviations.
    np.testing.assert_allclose(counts[:4] / 2000, 1 / 2, atol=0.045)
    np.testing.assert_allclose(counts[4:] / 2000, 1 / 3, atol=0.043)


def test_sampled_regions_carry_what_they_learn():
    random = np.random.default_rng(0)
    boxes = np.stack([some_boxes(random, 3)] * 2)
    batch = {
        "boxes": boxes,
        "labels": np.array([[4, 2, 4]] * 2, np.int32),
        "valid": np.array([[True, True, False], [False] * 3]),
        "crowd": np.zeros((2, 3), bool),
    }
    regions = np.concatenate([boxes, boxes + 0.3, boxes + 60], axis=1)
    sampler = RegionSampler(OverlapMatching(0.5, 0.5), 6, 0.5)
    found = jax.jit(sampler)(jax.random.key(0), regions, np.ones((2, 9), bool), batch)
    positive = np.asarray(found.positive)
    np.testing.assert_array_equal(positive.sum(axis=1), [3, 0])
    assert np.asarray(found.counted).all()
    for image, slot in zip(*np.nonzero(positive), strict=True):
        k = int(found.index[image, slot])
        assert found.labels[image, slot] == batch["labels"][image, k]
        np.testing.assert_array_equal(found.truth[image, slot], boxes[image, k])
    np.testing.assert_array_equal(np.asarray(found.labels)[~positive], -1)
    np.testing.assert_array_equal(np.asarray(found.truth)[~positive], np.asarray(found.boxes)[~positive])


def test_proposals_are_those_of_the_reference():
    random = np.random.default_rng(0)
    locations = Locations.create(SIZE, STRIDES)
    anchors, levels = make_anchors(locations, SCALES, RATIOS), locations.levels.repeat(6)
    scores = random.uniform(0.01, 1, (2, len(anchors))).astype(np.float32)
    scores[:, 5:9] = scores[:, 5:6]  # ties
    deltas = random.normal(0, 0.4, (2, len(anchors), 4)).astype(np.float32)
    deltas[0, 3], scores[1, 4] = np.nan, np.inf
    deltas[0, 7, :2] = 40  # outside of the image
    propose = jax.jit(Proposer(anchors, levels, BoxCoding(), SIZE, 30, 0.6, 25))
    boxes, there = propose(scores, deltas)
    for image in range(2):
        usable = np.where(np.isfinite(scores[image]), scores[image], 0)
        wanted = reference.proposals(anchors, levels, usable, deltas[image], SIZE, 30, 0.6, 25)
        own = np.asarray(boxes[image])[np.asarray(there[image])]
        assert len(own) == len(wanted) > 10
        np.testing.assert_allclose(own, np.array(wanted), rtol=1e-4, atol=1e-3)
    boxes, there = propose(np.full_like(scores, np.nan), deltas)
    assert not np.any(there)
    assert not np.any(boxes)
