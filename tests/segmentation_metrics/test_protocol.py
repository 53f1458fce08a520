"""What the rejection protocol asks of a loss, with metrics of segmentation: published losses raise what they were found for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.problem import RejectionProblem
from jaxloss.core.reduce import total_loss
from jaxloss.core.types import LossInputs
from jaxloss.systems.autoloss_zero.published import METRIC_OF_LOSS
from jaxloss.systems.registry import PUBLISHED
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.streaming import SegmentationMetrics
from jaxloss.tasks.metrics.segmentation.training_targets import CUSTOMARY, training_target
from tests.problems import BRANCH, graph
from tests.segmentation_metrics.reference import blobs

NUM_CLASSES, SHAPE, RULE = 4, (2, 14, 15), BoundaryRule(trimap_width=1, tolerance=1)


def problem(metric, logits):
    """An untrained network's predictions for smooth label maps, mostly of one class."""
    metrics = SegmentationMetrics(NUM_CLASSES, (metric,), RULE)
    labels = jnp.asarray(blobs(1, SHAPE, NUM_CLASSES, smoothness=3.0, void=0.1))
    target, mask = training_target(labels, NUM_CLASSES, CUSTOMARY[metric], RULE)
    start = 0.3 * jax.random.normal(jax.random.key(0), (*SHAPE, NUM_CLASSES)) + jnp.eye(NUM_CLASSES)[1]

    def inputs(value, context):
        prediction = jax.nn.softmax(value) if logits else value
        return LossInputs.create({"prediction": prediction, "target": context["target"]}, context["mask"])

    return RejectionProblem(
        start=start if logits else jax.nn.softmax(start),
        context={"target": target, "mask": mask, "labels": metrics.prepare(labels)},
        inputs=inputs,
        metric=lambda value, context: metrics.score(metric, value, context["labels"]),
    )


def descend(given, formula):
    """The end of 500 steps of the protocol, each sample on its own, and by how much the metric rose."""
    loss = BRANCH.form.compile(graph(formula))

    def of_sample(value, context):
        inputs = given.inputs(value[None], jax.tree.map(lambda leaf: leaf[None], context))
        return total_loss(loss(inputs), inputs)

    def step(carry, _):
        value, momentum = carry
        momentum = 0.9 * momentum + jax.vmap(jax.grad(of_sample))(value, given.context)
        return (value - 0.001 * momentum, momentum), None

    (end, _), _ = jax.lax.scan(step, (given.start, jnp.zeros_like(given.start)), length=500)
    return end, jnp.mean(given.metrics(end) - given.metrics(given.start))


@jax.jit
def outcomes():
    found = {}
    for name, metric in METRIC_OF_LOSS.items():
        found[name] = descend(problem(metric, logits=True), PUBLISHED[name])
    found["upwards"] = descend(problem("boundary_f1", logits=True), f"Neg({PUBLISHED['autoloss_zero_bf1']})")
    found["unconstrained"] = descend(problem("boundary_iou", logits=False), PUBLISHED["autoloss_zero_biou"])
    return found


@pytest.mark.slow
def test_a_published_loss_raises_its_metric():
    found = outcomes()
    end, _ = found.pop("unconstrained")
    # The loss for the boundary IoU falls by (p exp(p))^2 / 2, without bound: by the letter the protocol would have stopped it.
    assert not np.isfinite(end).all()
    assert float(found.pop("upwards")[1]) < 0.1
    assert set(found) == set(METRIC_OF_LOSS)
    gains = {name: float(gain) for name, (_, gain) in found.items()}
    assert all(np.isfinite(end).all() for end, _ in found.values())
    assert min(gains.values()) > 0.25, gains
    assert sum(gain > 0.5 for gain in gains.values()) >= 4, gains
