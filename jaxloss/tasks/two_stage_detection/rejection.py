"""What the rejection protocol solves for detection in two stages: each branch with the others right."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.boxes import overlap
from jaxloss.core.problem import LOGITS, RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import ProblemMaker
from jaxloss.tasks.data.boxes.source import IMAGE, VALID
from jaxloss.tasks.data.stream import take_rows
from jaxloss.tasks.detection.ranking import ranking_precision
from jaxloss.tasks.detection.rejection import MARGIN
from jaxloss.tasks.detection.rejection_rows import choose_rows, with_objects
from jaxloss.tasks.metrics.headroom import draw_with_headroom
from jaxloss.tasks.two_stage_detection.inputs import (
    CLASSIFICATIONS,
    RCNN_CLASSIFICATION,
    RCNN_REGRESSION,
    RPN_CLASSIFICATION,
    RPN_REGRESSION,
    StageInputs,
)
from jaxloss.tasks.two_stage_detection.regions import Regions, taken
from jaxloss.tasks.two_stage_detection.stages import Stages

# Of COCO's metric: how far boxes have to overlap, from 0.5 to 0.95.
THRESHOLDS = np.linspace(0.5, 0.95, 10, dtype=np.float32)
_BRANCHES = (RPN_CLASSIFICATION, RPN_REGRESSION, RCNN_CLASSIFICATION, RCNN_REGRESSION)


def make_problem(
    stages: Stages, augment: Callable[[PyTree, Array], PyTree] | None, variable: str, minimum_gain: float
) -> ProblemMaker:
    """The untrained network's outputs for sampled anchors of a few training images with objects, as in the first step.

    Where the other branches are right, what the second stage looks at are the anchors that match an object, and some of the
    background, which the first stage of the untrained network has hardly moved: all four problems are about the same regions.

    Classification: the probabilities (or logits) of the regions are optimised while their boxes are the true ones; the metric is
    the average precision of the image (`ranking_precision`), in the first stage that of objects of any class. `overlap` is that
    of the untrained network's boxes, so that losses which read it are told apart. Regression: the deltas of positive regions are
    optimised; the metric is the share of the ten overlaps of COCO's metric that their boxes reach, on average: with all scores
    right this is what average precision is made of.

    Args:
      stages: of the detector.
      augment: of the task, or None.
      variable: what is optimised of the classes, in `core.problem.VARIABLES`.
      minimum_gain: that the protocol asks for.

    References:
      Li et al., CVPR 2022, Eq. 3, Section 4.2 and Appendix A.2: while one branch is optimised, the predictions of the others are
      the targets, and the score of the first stage is that of its proposals.
    """

    @jax.jit
    def make(variables: PyTree, batch: PyTree, key: Array) -> tuple[dict[str, Array], dict[str, PyTree]]:
        augment_key, forward_key, choice_key = jax.random.split(key, 3)
        batch = batch if augment is None else augment(batch, augment_key)
        first, variables = stages.first(variables, batch[IMAGE], forward_key)
        anchors = stages.samplers[0](choice_key, *stages.anchors(len(batch[IMAGE])), batch)
        of_anchors, of_regions = stages.inputs
        logits, deltas = taken(first.logits, anchors), taken(first.deltas, anchors)
        second = stages.second(variables, first.pyramid, anchors.boxes, anchors.counted)
        region_deltas = of_regions.deltas_of(second.deltas, anchors)
        context = {"regions": anchors, "has_box": batch[VALID]}
        start, contexts = {}, {}
        for inputs, (classes, boxes), own_logits, own_deltas in (
            (of_anchors, _BRANCHES[:2], logits, deltas),
            (of_regions, _BRANCHES[2:], second.logits, region_deltas),
        ):
            start[classes] = (own_logits if variable == LOGITS else jax.nn.softmax(own_logits))[:, :, None]
            start[boxes] = own_deltas[:, :, None]
            contexts[classes] = {**context, "overlap": inputs.overlaps(own_deltas, anchors)}
            contexts[boxes] = context
        return start, contexts

    of_branch = dict(zip(_BRANCHES, (inputs for inputs in stages.inputs for _ in range(2)), strict=True))
    functions = {
        branch: _of_classes(inputs, variable) if branch in CLASSIFICATIONS else _of_boxes(inputs)
        for branch, inputs in of_branch.items()
    }

    def problem(variables: PyTree, examples: PyTree, key: Array, num_samples: int) -> dict[str, RejectionProblem]:
        has_object = with_objects(examples, num_samples)

        def draw(branch: str, key: Array) -> RejectionProblem:
            start, context = make(variables, take_rows(examples, choose_rows(has_object, key, num_samples)), key)
            return RejectionProblem(start[branch], context[branch], *functions[branch])

        return {branch: draw_with_headroom(functools.partial(draw, branch), key, minimum_gain, MARGIN) for branch in functions}

    return problem


def _of_classes(inputs: StageInputs, variable: str) -> tuple[Callable, Callable]:
    """Inputs and metric of the problem of a classification."""

    def inputs_of(value: Array, context: Mapping[str, PyTree]) -> LossInputs:
        regions: Regions = context["regions"]
        logits = value[:, :, 0]
        arrays = {"prediction": value, "target": inputs.one_hot(regions.labels).astype(value.dtype)}
        if variable == LOGITS:
            arrays = dict(inputs.classification(logits, context["overlap"], regions).arrays)
        return LossInputs.create({**arrays, "overlap": context["overlap"]}, regions.counted[..., None, None])

    def metric(value: Array, context: Mapping[str, PyTree]) -> Array:
        regions: Regions = jax.tree.map(lambda leaf: leaf[0], context["regions"])
        scores = jax.nn.softmax(value) if variable == LOGITS else value
        labels = jnp.minimum(regions.labels, inputs.num_classes - 1)
        num_boxes = context["has_box"].shape[1]
        return ranking_precision(scores[0, :, 0, : inputs.num_classes], labels, regions.index, regions.counted, num_boxes)

    return inputs_of, metric


def _of_boxes(inputs: StageInputs) -> tuple[Callable, Callable]:
    """Inputs and metric of the problem of a regression."""

    def inputs_of(value: Array, context: Mapping[str, PyTree]) -> LossInputs:
        found = inputs.regression(value[:, :, 0], context["regions"])
        return LossInputs.create(found.arrays, found.mask)

    def metric(value: Array, context: Mapping[str, PyTree]) -> Array:
        regions: Regions = context["regions"]
        iou = overlap(inputs.coding.decode(regions.boxes, value[:, :, 0]), regions.truth).iou[..., None]
        reached = jnp.mean(iou >= THRESHOLDS, axis=-1)
        return jnp.sum(jnp.where(regions.positive, reached, 0)) / jnp.maximum(jnp.sum(regions.positive), 1)

    return inputs_of, metric
