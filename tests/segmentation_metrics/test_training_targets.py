"""Training targets for each metric: by hand, against SciPy, and next to what the metric itself looks at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.registry import METRICS
from jaxloss.tasks.metrics.segmentation.streaming import SegmentationMetrics
from jaxloss.tasks.metrics.segmentation.targets import prepare_targets
from jaxloss.tasks.metrics.segmentation.training_targets import CUSTOMARY, TRAINING_TARGETS, training_target
from tests.segmentation_metrics.reference import VOID, blobs, inner_edges, near

NUM_CLASSES = 4
RULE = BoundaryRule(trimap_width=2)
LABELS = blobs(7, (2, 15, 19), NUM_CLASSES, void=0.2)
make = jax.jit(training_target, static_argnums=(1, 2, 3))


def targets(kind, labels=LABELS, rule=RULE):
    target, mask = make(jnp.asarray(labels), NUM_CLASSES, kind, rule)
    assert target.shape == (*labels.shape, NUM_CLASSES)
    assert target.dtype == jnp.float32
    assert mask.shape == (*labels.shape, 1)
    assert mask.dtype == bool
    return np.asarray(target), np.asarray(mask)[..., 0]


def one_hot(labels):
    return (labels[..., None] == np.arange(NUM_CLASSES)).astype(float)


def edges(labels, counted=None):
    return np.stack(
        [
            np.stack([inner_edges(one == c, None if counted is None else counted[n]) for c in range(NUM_CLASSES)], -1)
            for n, one in enumerate(labels)
        ]
    )


def test_labels_are_one_hot_and_void_is_nothing():
    target, mask = targets("labels")
    np.testing.assert_array_equal(target, one_hot(LABELS))
    np.testing.assert_array_equal(mask, LABELS != VOID)
    assert not target[LABELS == VOID].any()


def test_edges_are_the_boundaries_of_each_class():
    target, mask = targets("edges")
    np.testing.assert_array_equal(target, edges(LABELS))
    np.testing.assert_array_equal(mask, LABELS != VOID)
    assert 0.1 < target.sum() / mask.sum() < 0.9


def test_where_void_is_ignored_it_makes_no_edge():
    target, _ = targets("edges", rule=BoundaryRule(void="ignored"))
    np.testing.assert_array_equal(target, edges(LABELS, LABELS != VOID))
    assert target.sum() < targets("edges")[0].sum()


def test_the_band_is_where_boundary_iou_looks():
    target, mask = targets("band")
    around = np.stack([near(one, RULE.trimap_width) for one in edges(LABELS).any(-1)])
    np.testing.assert_array_equal(mask, around & (LABELS != VOID))
    np.testing.assert_array_equal(mask, prepare_targets(jnp.asarray(LABELS), NUM_CLASSES, RULE).band)
    np.testing.assert_array_equal(target, one_hot(LABELS) * mask[..., None])
    assert 0 < mask.sum() < (LABELS != VOID).sum()


@pytest.mark.parametrize("kind", TRAINING_TARGETS)
def test_without_a_boundary_and_without_anything(kind):
    target, mask = targets(kind, np.full((2, 15, 19), 2))
    assert target.any() == mask.any() or kind == "edges"
    assert target[..., 2].all() if kind == "labels" else not target.any()
    assert mask.any() == (kind != "band")
    assert not any(array.any() for array in targets(kind, np.full((2, 15, 19), VOID)))


def test_an_object_of_one_pixel_is_a_boundary_and_makes_one():
    labels = np.zeros((1, 15, 19), int)
    labels[0, 4, 5] = 3
    target, _ = targets("edges", np.concatenate([labels, labels]))
    assert target[0, ..., 3].sum() == target[0, 4, 5, 3] == 1
    assert target[0, ..., 0].sum() == target[0, 3:6, 4:7, 0].sum() == 8


def test_what_is_right_on_the_edges_alone_suits_one_metric_and_not_the_other():
    """Why their customary targets differ: the boundary IoU looks at the whole trimap."""
    labels = blobs(8, (2, 40, 40), NUM_CLASSES, smoothness=5.0)
    metrics = SegmentationMetrics(NUM_CLASSES, ("boundary_iou", "boundary_f1"), BoundaryRule(trimap_width=4, tolerance=1))

    @jax.jit
    def found(labels):
        targets = metrics.prepare(labels)
        # Elsewhere one class for all.
        predictions = [jnp.where(right, labels, 0) for right in (targets.edges, targets.band)]
        return [metrics.compute(metrics.update(metrics.start(), one, targets)) for one in predictions]

    right_on_edges, right_in_band = found(jnp.asarray(labels))
    assert right_on_edges["boundary_f1"] > 0.85
    assert right_on_edges["boundary_iou"] < 0.5
    assert right_in_band["boundary_iou"] == 1


def test_every_metric_has_a_customary_target():
    assert set(CUSTOMARY) == set(METRICS)
    assert {name: kind for name, kind in CUSTOMARY.items() if kind != "labels"} == {
        "boundary_iou": "band",
        "boundary_f1": "edges",
    }
    with pytest.raises(UserError, match="training target 'edge'"):
        training_target(jnp.asarray(LABELS), NUM_CLASSES, "edge", RULE)
