"""The average precision of one image whose boxes are known, against COCO's evaluator."""

import jax
import numpy as np
import pytest

from jaxloss.tasks.detection.ranking import ranking_precision
from jaxloss.tasks.metrics.coco_evaluator import Annotations, evaluate

NUM_BOXES, NUM_LOCATIONS, NUM_CLASSES = 6, 40, 3
precision = jax.jit(ranking_precision, static_argnames="num_boxes")


def image(seed):
    """Scores of all locations, and what they stand for."""
    random = np.random.default_rng(seed)
    of_box = random.integers(2, size=NUM_BOXES) * 2  # class 1 does not occur
    index = np.where(random.uniform(size=NUM_LOCATIONS) < 0.4, random.integers(NUM_BOXES, size=NUM_LOCATIONS), -1)
    labels = np.where(index >= 0, of_box[index], -1)
    scores = random.uniform(size=(NUM_LOCATIONS, NUM_CLASSES)) + 0.4 * (labels[:, None] == np.arange(NUM_CLASSES))
    return scores.astype(np.float32), labels.astype(np.int32), index.astype(np.int32)


def by_the_evaluator(scores, labels, index):
    """Boxes far from each other, one for every object and every location of background; the mean over exact recalls."""

    def box(place):
        return (10.0 * place, 0.0, 10.0 * place + 5, 5.0)

    truth, found = Annotations(1, NUM_CLASSES), Annotations(1, NUM_CLASSES)
    objects = sorted(set(index[index >= 0]))
    for k in objects:
        truth.add(0, box(k), labels[index == k][0], iscrowd=0)
        for label in range(NUM_CLASSES):
            found.add(0, box(k), label, score=float(scores[index == k, label].max()))
    for place in np.flatnonzero(index < 0):
        for label in range(NUM_CLASSES):
            found.add(0, box(100 + place), label, score=float(scores[place, label]))
    return float(np.nanmean(evaluate(truth, found)[0, :, :, 0].mean(axis=0)))


@pytest.mark.parametrize("seed", range(4))
def test_it_is_that_of_the_evaluator(seed):
    """COCO looks at 101 recalls in place of the objects themselves: at most one step of these apart for each object."""
    scores, labels, index = image(seed)
    found = float(precision(scores, labels, index, np.ones(NUM_LOCATIONS, bool), num_boxes=NUM_BOXES))
    assert 0.2 < found < 1
    assert found == pytest.approx(by_the_evaluator(scores, labels, index), abs=0.01)


def test_right_scores_are_worth_one_and_equal_ones_little():
    _, labels, index = image(0)
    counted = np.ones(NUM_LOCATIONS, bool)
    right = (labels[:, None] == np.arange(NUM_CLASSES)).astype(np.float32)
    assert precision(right, labels, index, counted, num_boxes=NUM_BOXES) == 1
    assert precision(right * 0, labels, index, counted, num_boxes=NUM_BOXES) < 0.25
    assert precision(right * np.nan, labels, index, counted, num_boxes=NUM_BOXES) < 0.25
    assert precision(1 - right, labels, index, counted, num_boxes=NUM_BOXES) < 0.25


def test_a_location_that_does_not_count_costs_nothing():
    scores, labels, index = image(1)
    wrong = np.flatnonzero(index < 0)[:10]
    scores[wrong] = 9
    counted = ~np.isin(np.arange(NUM_LOCATIONS), wrong)
    low = precision(scores, labels, index, np.ones(NUM_LOCATIONS, bool), num_boxes=NUM_BOXES)
    assert precision(scores, labels, index, counted, num_boxes=NUM_BOXES) > low + 0.1


def test_an_image_without_objects_is_worth_nothing():
    nothing = np.full(NUM_LOCATIONS, -1, np.int32)
    assert precision(image(0)[0], nothing, nothing, np.ones(NUM_LOCATIONS, bool), num_boxes=NUM_BOXES) == 0
