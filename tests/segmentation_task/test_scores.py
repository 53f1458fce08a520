"""Scores in chunks, void, and the table of classes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.tasks.base import SEARCH_EVAL, TEST
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.registry import METRICS
from jaxloss.tasks.metrics.segmentation.streaming import SegmentationMetrics
from jaxloss.tasks.segmentation.scoring import class_tables, make_counts, make_scores
from tests.segmentation_task.scenes import CLASSES, make, scenes

TABLES = class_tables("mean_iou", CLASSES)


@pytest.mark.parametrize("void", ["counted", "ignored"])
def test_scores_in_chunks_are_those_of_the_whole(void):
    """Five images in chunks of two: what fills the last chunk counts nowhere, though boundaries are predicted in it."""
    images, masks = scenes(5)
    metrics = SegmentationMetrics(3, rule=BoundaryRule(1, 1, void))
    field = jnp.asarray(np.random.default_rng(0).normal(size=(24, 32, 3)), jnp.float32)

    def predict(variables, images):
        return field + variables * images.astype(jnp.float32) / 255

    examples = {"image": jnp.asarray(images), "mask": jnp.asarray(masks)}

    @jax.jit
    def scored(examples):
        found = [make_scores(make_counts(predict, metrics, most, False), metrics, TABLES)(3.0, examples) for most in (2, 5)]
        whole = metrics.update(metrics.start(), predict(3.0, examples["image"]), metrics.prepare(examples["mask"]))
        ious = metrics.of_classes(whole)["mean_iou"]
        single = {f"mean_iou of {name}": value for name, value in zip(CLASSES, ious, strict=True)}
        return found, {**metrics.compute(whole), **single}

    found, expected = scored(examples)
    for scores in found:
        assert scores == expected
        assert scores.keys() == METRICS.keys() | set(TABLES["mean_iou"].values())


def test_labels_beyond_the_classes_and_void_count_nowhere(task):
    variables = jax.jit(task.init)(jax.random.key(0))
    examples = task.data[SEARCH_EVAL]
    other = {**examples, "mask": jnp.where(examples["mask"] == 255, 254, examples["mask"])}
    assert task.scores(variables, examples) == task.scores(variables, other)


def test_the_table_of_classes_is_made_of_the_same_counts(task):
    variables = jax.jit(task.init)(jax.random.key(0))
    scores = task.scores(variables, task.data[TEST])
    (names,) = task.parts.values()
    assert names == {name: f"mean_iou of {name}" for name in ("ground", "disc", "bar")}
    assert np.mean([scores[name] for name in names.values()]) == pytest.approx(float(scores["mean_iou"]), rel=1e-5)


def test_the_metric_that_is_searched_stands_first_and_the_others_beside_it(folder):
    task = make(folder, metric="boundary_f1")
    assert (task.metric, *task.also_shown) == ("boundary_f1", *(name for name in METRICS if name != "boundary_f1"))
    assert {title: list(parts) for title, parts in task.parts.items()} == {
        name: [*CLASSES] for name in ("mean_iou", "boundary_f1")
    }
    assert task.details["metrics"][-1] == "boundary F1 (within 1 pixels)"
