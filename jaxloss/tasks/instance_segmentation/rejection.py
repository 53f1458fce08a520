"""What the rejection protocol solves for the mask branch: masks of an untrained network, one object each."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.problem import LOGITS, RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import ProblemMaker
from jaxloss.tasks.data.boxes.source import BOXES, CROWD, IMAGE, LABELS, VALID
from jaxloss.tasks.data.stream import take_rows
from jaxloss.tasks.detection.rejection import MARGIN
from jaxloss.tasks.detection.rejection_rows import choose_rows, with_objects
from jaxloss.tasks.instance_segmentation.inputs import MASK, two_classes, with_background
from jaxloss.tasks.instance_segmentation.stages import MaskStages
from jaxloss.tasks.metrics.headroom import draw_with_headroom
from jaxloss.tasks.two_stage_detection.regions import Regions
from jaxloss.tasks.two_stage_detection.rejection import THRESHOLDS
from jaxloss.tasks.two_stage_detection.rejection import make_problem as make_problem_of_boxes


def make_problem(
    stages: MaskStages, augment: Callable[[PyTree, Array], PyTree] | None, variable: str, minimum_gain: float
) -> ProblemMaker:
    """The problems of `two_stage_detection.rejection` for the branches of boxes, and that of the mask branch.

    Where the other branches are right, proposals are the true boxes: a sample is an object of another training image, drawn at
    random, and what is optimised is the untrained network's mask of its true box, of `m x m` cells. The metric is the share of
    the ten overlaps of COCO's metric that the mask reaches with the true one: with all boxes and scores right this is what
    average precision is made of.

    Args:
      stages: of the detector.
      augment: of the task, or None.
      variable: what is optimised of classes and masks, in `core.problem.VARIABLES`.
      minimum_gain: that the protocol asks for.

    References:
      Li et al., CVPR 2022, Eq. 3, Appendix A.2 and A.3.
    """
    of_boxes = make_problem_of_boxes(stages, augment, variable, minimum_gain)

    @jax.jit
    def make(variables: PyTree, batch: PyTree, key: Array) -> tuple[Array, PyTree]:
        augment_key, forward_key, choice_key = jax.random.split(key, 3)
        batch = batch if augment is None else augment(batch, augment_key)
        first, variables = stages.first(variables, batch[IMAGE], forward_key)
        learnt = batch[VALID] & ~batch[CROWD]
        chosen = jnp.argmax(jnp.where(learnt, jax.random.uniform(choice_key, learnt.shape), -1), axis=1)[:, None]
        boxes = jnp.take_along_axis(batch[BOXES], chosen[..., None], axis=1)
        labels = jnp.take_along_axis(batch[LABELS], chosen, axis=1)
        there = jnp.ones(labels.shape, bool)
        regions = Regions(boxes, labels, chosen.astype(jnp.int32), boxes, there, chosen.astype(jnp.int32))
        pairs = with_background(stages.segment(variables, first.pyramid, boxes, there, labels)[:, 0])
        start = pairs if variable == LOGITS else jax.nn.softmax(pairs)
        return start, {"inside": stages.masks.targets(regions, batch)[:, 0]}

    def inputs_of(value: Array, context: Mapping[str, Array]) -> LossInputs:
        arrays = {"prediction": value, "target": two_classes(context["inside"], value.dtype)}
        if variable == LOGITS:
            arrays |= {"prediction": jax.nn.softmax(value), "logits": value}
        return LossInputs.create(arrays)

    def metric(value: Array, context: Mapping[str, Array]) -> Array:
        found, inside = value[..., 0] > value[..., 1], context["inside"]
        union = jnp.sum(found | inside)
        iou = jnp.sum(found & inside) / jnp.maximum(union, 1)
        return jnp.mean(iou >= THRESHOLDS)

    def problem(variables: PyTree, examples: PyTree, key: Array, num_samples: int) -> dict[str, RejectionProblem]:
        has_object = with_objects(examples, num_samples)

        def draw(key: Array) -> RejectionProblem:
            start, context = make(variables, take_rows(examples, choose_rows(has_object, key, num_samples)), key)
            return RejectionProblem(start, context, inputs_of, metric)

        mask = draw_with_headroom(draw, key, minimum_gain, MARGIN)
        return {**of_boxes(variables, examples, key, num_samples), MASK: mask}

    return problem
