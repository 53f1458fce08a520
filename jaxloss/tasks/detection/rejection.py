"""What the rejection protocol solves for detection: classes with the boxes given, and boxes by themselves."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.boxes import around, overlap
from jaxloss.core.problem import LOGITS, RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import ProblemMaker
from jaxloss.tasks.data.boxes.source import IMAGE, VALID
from jaxloss.tasks.data.stream import take_rows
from jaxloss.tasks.detection.inputs import CLASSIFICATION, REGRESSION, BoxInputs
from jaxloss.tasks.detection.ranking import ranking_precision
from jaxloss.tasks.detection.rejection_rows import choose_rows, with_objects
from jaxloss.tasks.metrics.headroom import draw_with_headroom
from jaxloss.tasks.models.detection.network import DetectionOutputs

# Room beyond the gain that the protocol asks for.
MARGIN = 0.1
# Of the locations that are drawn for classification: about twice as many as there are in images of many objects.
POSITIVE_SHARE = 0.25
_CONTEXT = {
    CLASSIFICATION: ("labels", "index", "counted", "overlap"),
    REGRESSION: ("positive", "target_distances", "strides"),
}


def make_problem(
    train: Callable[[PyTree, Array, Array], DetectionOutputs],
    augment: Callable[[PyTree, Array], PyTree] | None,
    inputs: BoxInputs,
    num_locations: int,
    variable: str,
    minimum_gain: float,
) -> ProblemMaker:
    """The untrained network's outputs on a few training images with objects, as in the first step of a training.

    Classification: the probabilities (or logits) of every location are optimised while the boxes are the true ones; the metric is
    the average precision of the image (`ranking_precision`). `overlap` is that of the untrained network's boxes, so that losses
    which read it are told apart. Regression: the distances of the positive locations are optimised, in strides, and the metric is
    the mean IoU with the true boxes.

    Args:
      train: `(variables, images, key) -> outputs`, in training mode: BatchNorm uses the batch.
      augment: of the task, or None.
      inputs: of losses.
      num_locations: of each image that are optimised, drawn at random: for classification `POSITIVE_SHARE` of them positive if so
        many are, for regression positive ones first; 0 for all.
      variable: what is optimised of the classes, in `core.problem.VARIABLES`.
      minimum_gain: that the protocol asks for.

    References:
      Li et al., CVPR 2022, Eq. 3, Section 4.2 and Appendix A.2: while one branch is optimised, the predictions of the others are
      the targets.
    """

    def classification_inputs(value: Array, context: Mapping[str, Array]) -> LossInputs:
        arrays = {"prediction": value, "target": inputs.one_hot(context["labels"]).astype(value.dtype)}
        if variable == LOGITS:
            arrays |= {"prediction": inputs.probability(value), "logits": value}
        return LossInputs.create({**arrays, "overlap": context["overlap"]}, context["counted"][..., None, None])

    def classification_metric(value: Array, context: Mapping[str, Array]) -> Array:
        known = (context[name][0] for name in ("labels", "index", "counted"))
        scores = inputs.probability(value) if variable == LOGITS else value
        return ranking_precision(scores[0, :, 0, : inputs.num_classes], *known, num_boxes=context["has_box"].shape[1])

    def regression_inputs(value: Array, context: Mapping[str, Array]) -> LossInputs:
        wanted = context["target_distances"]
        areas = inputs.areas(value[:, :, 0], wanted[:, :, 0], context["strides"])
        arrays = {**areas, "distances": value, "target_distances": wanted}
        return LossInputs.create(arrays, context["positive"][..., None, None])

    def regression_metric(value: Array, context: Mapping[str, Array]) -> Array:
        iou = overlap(around(value[0, :, 0]), around(context["target_distances"][0, :, 0])).iou
        positive = context["positive"][0]
        return jnp.sum(jnp.where(positive, iou, 0)) / jnp.maximum(jnp.sum(positive), 1)

    @jax.jit
    def make(variables: PyTree, batch: PyTree, key: Array) -> tuple[dict[str, Array], dict[str, PyTree]]:
        augment_key, forward_key, choice_key = jax.random.split(key, 3)
        batch = batch if augment is None else augment(batch, augment_key)
        outputs = train(variables, batch[IMAGE], forward_key)
        targets = inputs.targets(batch)
        assigned = targets.assigned
        all_of_it = {
            "logits": outputs.logits[:, :, None],
            "distances": outputs.distances[:, :, None],
            "overlap": inputs.overlaps(outputs.distances, targets),
            "target_distances": targets.distances[:, :, None],
            "labels": assigned.labels,
            "index": assigned.index,
            "counted": assigned.counted,
            "positive": assigned.positive,
            "strides": jnp.broadcast_to(inputs.locations.strides, assigned.labels.shape),
        }
        parts = {}
        # A ranking needs background, boxes have none.
        for number, (branch, share) in enumerate(((CLASSIFICATION, POSITIVE_SHARE), (REGRESSION, 1.0))):
            chosen = _chosen(jax.random.fold_in(choice_key, number), assigned.positive, num_locations, share)
            parts[branch] = {name: _at(leaf, chosen) for name, leaf in all_of_it.items()}
        logits, distances = parts[CLASSIFICATION]["logits"], parts[REGRESSION]["distances"]
        context = {branch: {name: parts[branch][name] for name in names} for branch, names in _CONTEXT.items()}
        context[CLASSIFICATION]["has_box"] = batch[VALID]
        start = {CLASSIFICATION: logits if variable == LOGITS else inputs.probability(logits), REGRESSION: distances}
        return start, context

    functions = {
        CLASSIFICATION: (classification_inputs, classification_metric),
        REGRESSION: (regression_inputs, regression_metric),
    }

    def problem(variables: PyTree, examples: PyTree, key: Array, num_samples: int) -> dict[str, RejectionProblem]:
        has_object = with_objects(examples, num_samples)

        def draw(branch: str, key: Array) -> RejectionProblem:
            start, context = make(variables, take_rows(examples, choose_rows(has_object, key, num_samples)), key)
            return RejectionProblem(start[branch], context[branch], *functions[branch])

        return {branch: draw_with_headroom(functools.partial(draw, branch), key, minimum_gain, MARGIN) for branch in functions}

    return problem


def _at(leaf: Array, places: Array) -> Array:
    """Of `[N, L, ...]` what stands at places `[N, n]`."""
    return jax.vmap(lambda rows, own: rows[own])(leaf, places)


def _chosen(key: Array, positive: Array, count: int, share: float) -> Array:
    """Some locations of every image, int32 `[N, count]`, at most a share of them positive, bool `[N, L]`; 0 for all."""
    total = positive.shape[1]
    if not 0 < count < total:
        return jnp.broadcast_to(jnp.arange(total, dtype=jnp.int32), positive.shape)
    draws = jax.random.uniform(key, positive.shape)
    rank = jnp.argsort(jnp.argsort(jnp.where(positive, draws, 2), axis=1), axis=1)
    first = positive & (rank < count * share)
    return jnp.argsort(jnp.where(first, draws, jnp.where(positive, 2, 1) + draws), axis=1)[:, :count].astype(jnp.int32)
