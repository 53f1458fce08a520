"""Non-maximum suppression of a fixed size, against a NumPy reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.tasks.detection.nms import suppress
from tests.detection_task import reference


def random_boxes(seed, count=40, classes=3):
    random = np.random.default_rng(seed)
    corner, sides = random.uniform(0, 20, (count, 2)), random.uniform(3, 15, (count, 2))
    scores = random.uniform(0, 1, (count, classes)) * (random.uniform(size=(count, classes)) < 0.7)
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32), scores.astype(np.float32)


run = jax.jit(suppress, static_argnums=(2, 3, 4, 5))


@pytest.mark.parametrize("seed", range(3))
def test_it_keeps_what_the_reference_keeps(seed):
    boxes, scores = random_boxes(seed)
    if seed == 1:
        boxes[10:20] = boxes[0]  # coinciding
    found = run(boxes, scores, 0.2, 0.4, 60, 120)
    wanted = reference.suppress(boxes, scores, 0.2, 0.4, 60)
    count = len(wanted)
    assert 20 < count < 60
    np.testing.assert_array_equal(found.scores[:count], [one[0] for one in wanted])
    np.testing.assert_array_equal(found.labels[:count], [one[1] for one in wanted])
    np.testing.assert_array_equal(found.boxes[:count], [one[2] for one in wanted])
    assert not found.scores[count:].any()
    assert (np.asarray(found.labels[count:]) == -1).all()
    assert not found.boxes[count:].any()


def test_the_surest_are_kept_where_there_are_more_than_fit():
    boxes, scores = random_boxes(0)
    found = run(boxes, scores, 0.2, 0.4, 5, 120)
    np.testing.assert_array_equal(found.scores, [one[0] for one in reference.suppress(boxes, scores, 0.2, 0.4, 5)])


def test_a_box_that_is_suppressed_suppresses_nothing():
    """Of three in a row, the first removes the second, which would have removed the third."""
    boxes = jnp.array([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
    found = run(boxes, jnp.array([[0.9], [0.8], [0.7]]), 0.1, 0.3, 3, 3)
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.0])


def test_nothing_above_the_threshold_is_nothing():
    found = run(jnp.zeros((4, 4)), jnp.full((4, 2), 0.1), 0.1, 0.5, 3, 8)
    assert not np.asarray(found.scores).any()
    assert (np.asarray(found.labels) == -1).all()
