"""Detections of the second stage: each class has boxes of its own, and what is padding or no number is not found."""

import jax
import numpy as np

from jaxloss.tasks.models.detection.two_stage import SecondStage
from jaxloss.tasks.two_stage_detection.coding import BoxCoding
from jaxloss.tasks.two_stage_detection.decoding import RegionDecoder
from tests.two_stage_task import reference

MEANS, DEVIATIONS, SIZE = (0.0, 0.0, 0.0, 0.0), (0.1, 0.1, 0.2, 0.2), (24, 40)
NUM_CLASSES, MINIMUM, MAXIMUM_IOU, MOST = 2, 0.2, 0.4, 8


def expected(boxes, valid, logits, deltas):
    """Label, score and box of what is found in one image, by falling score."""
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    found = []
    for label in range(NUM_CLASSES):
        kept = []
        for r in sorted(np.flatnonzero(valid), key=lambda r: -shares[r, label]):
            if not (shares[r, label] > MINIMUM and np.isfinite(deltas[r, label]).all()):
                continue
            box = np.clip(reference.decode(boxes[r], deltas[r, label], MEANS, DEVIATIONS), 0, [SIZE[1], SIZE[0]] * 2)
            if all(reference.iou(box, other) <= MAXIMUM_IOU for other in kept):
                kept.append(box)
                found.append((shares[r, label], label, box))
    return sorted(found, key=lambda one: -one[0])[:MOST]


def test_detections_are_those_of_the_reference():
    random = np.random.default_rng(0)
    corners = random.uniform(0, 20, (2, 12, 2))
    boxes = np.concatenate([corners, corners + random.uniform(4, 14, (2, 12, 2))], axis=-1).astype(np.float32)
    valid = np.arange(12) < np.array([[12], [0]])
    valid[0, 3] = False
    logits = random.normal(0, 1.5, (2, 12, NUM_CLASSES + 1)).astype(np.float32)
    deltas = random.normal(0, 1.0, (2, 12, NUM_CLASSES, 4)).astype(np.float32)
    logits[0, 5], deltas[0, 6, 1] = np.nan, np.inf
    decode = jax.jit(RegionDecoder(BoxCoding(MEANS, DEVIATIONS), SIZE, MINIMUM, MAXIMUM_IOU, MOST, 24))
    found = decode(boxes, valid, SecondStage(logits, deltas))
    logits[0, 5] = (-50, -50, 50)
    wanted = expected(boxes[0], valid[0], logits[0], deltas[0])
    assert len({label for _, label, _ in wanted}) == 2
    there = np.asarray(found.labels[0]) >= 0
    assert there.sum() == len(wanted)
    np.testing.assert_allclose(np.asarray(found.scores[0])[there], [one[0] for one in wanted], rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(found.labels[0])[there], [one[1] for one in wanted])
    np.testing.assert_allclose(np.asarray(found.boxes[0])[there], [one[2] for one in wanted], rtol=1e-4, atol=1e-3)
    assert np.all(np.asarray(found.labels[1]) == -1)
