"""What the rejection protocol solves for segmentation: an untrained network's predictions, and the metric that is searched."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.problem import LOGITS, RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import ProblemMaker, num_examples
from jaxloss.tasks.data.masks.pairs import MASK
from jaxloss.tasks.data.stream import take_rows
from jaxloss.tasks.metrics.headroom import draw_with_headroom
from jaxloss.tasks.metrics.segmentation.streaming import SegmentationMetrics
from jaxloss.tasks.segmentation.inputs import BRANCH, Forward, PixelInputs, everywhere
from jaxloss.tasks.segmentation.splits import PRIOR

# Room beyond the gain that the protocol asks for.
MARGIN = 0.1
# Beside the arrays of a batch, and the last also in the context of a problem.
_CORNER, _LABELS, _JUDGED = "corner", "labels", "judged"


def make_problem(
    forward: Forward,
    augment: Callable[[PyTree, Array], PyTree] | None,
    inputs: PixelInputs,
    metrics: SegmentationMetrics,
    metric: str,
    window: tuple[int, int],
    variable: str,
    minimum_gain: float,
) -> ProblemMaker:
    """The untrained network's predictions on a few training samples of the size of the training, or on windows of these.

    The predictions are those of the first step of a training: BatchNorm uses the batch, since the running statistics of an
    untrained network are none. The metric is the one that is searched for, of each sample by itself. Samples in which it finds
    nothing to judge, such as an image without a boundary, are passed over, and the draw leaves room for the gain.

    Args:
      forward: of the task.
      augment: of the task, or None.
      inputs: of losses.
      metrics: with the one that is searched for.
      metric: its name.
      window: (height, width) of the part of each sample that is optimised, anywhere in it; (0, 0) for all of it.
      variable: what is optimised, in `core.problem.VARIABLES`.
      minimum_gain: that the protocol asks for.

    References:
      Li et al., CVPR 2022, Eq. 3 and Appendix A.
    """

    def inputs_of(value: Array, context: Mapping[str, Array]) -> LossInputs:
        arrays = {"prediction": value, "target": context["target"], PRIOR: everywhere(context[PRIOR], value)}
        if variable == LOGITS:
            arrays |= {"prediction": jax.nn.softmax(value), "logits": value}
        return LossInputs.create(arrays, context["mask"])

    def metric_of(value: Array, context: Mapping[str, PyTree]) -> Array:
        return metrics.score(metric, value, context[_JUDGED])

    @jax.jit
    def look_at(batch: PyTree, key: Array) -> tuple[PyTree, PyTree]:
        """A batch as trainings see it, with its labels as metrics see them, and which of its samples can be judged."""
        augment_key, window_key = jax.random.split(key)
        batch = batch if augment is None else augment(batch, augment_key)
        sides = jnp.array(batch[MASK].shape[1:]) - jnp.array(_sides(batch[MASK], window)) + 1
        corners = jax.random.randint(window_key, (len(batch[MASK]), 2), 0, sides)
        labels = _cut(batch[MASK], corners, window)
        judged = metrics.prepare(labels)
        return {**batch, _CORNER: corners, _LABELS: labels, _JUDGED: judged}, metrics.can_be_judged(metric, judged)

    @jax.jit
    def make(variables: PyTree, batch: PyTree, key: Array) -> tuple[Array, PyTree]:
        branches, _ = forward(variables, batch, key)
        start = branches[BRANCH].arrays["logits" if variable == LOGITS else "prediction"]
        start = _cut(start, batch[_CORNER], window)
        targets = inputs.targets(batch[_LABELS])
        context = {"target": targets["target"].astype(start.dtype), "mask": targets["mask"]}
        return start, {**context, PRIOR: batch[PRIOR], _JUDGED: batch[_JUDGED]}

    def problem(variables: PyTree, examples: PyTree, key: Array, num_samples: int) -> dict[str, RejectionProblem]:
        total = num_examples(examples)
        if not 0 < num_samples <= total:
            raise UserError(f"filters.rejection.num_samples is {num_samples}, but there are {total} training images to draw from")

        def draw(key: Array) -> RejectionProblem:
            batch = _judged_samples(look_at, examples, key, num_samples, metric)
            start, context = make(variables, batch, key)
            return RejectionProblem(start, context, inputs_of, metric_of)

        return {BRANCH: draw_with_headroom(draw, key, minimum_gain, MARGIN)}

    return problem


def _sides(arrays: Array, window: tuple[int, int]) -> tuple[int, int]:
    return arrays.shape[1:3] if window == (0, 0) else window


def _cut(arrays: Array, corners: Array, window: tuple[int, int]) -> Array:
    """A window of each sample, `[N, h, w, ...]` of `[N, H, W, ...]`."""

    def cut(array: Array, corner: Array) -> Array:
        sizes = (*_sides(arrays, window), *array.shape[2:])
        return jax.lax.dynamic_slice(array, (*corner, *[0] * (array.ndim - 2)), sizes)

    return jax.vmap(cut)(arrays, corners)


def _judged_samples(
    look_at: Callable[[PyTree, Array], tuple[PyTree, Array]], examples: PyTree, key: Array, num_samples: int, metric: str
) -> PyTree:
    """Random training samples that a metric can judge, `num_samples` of them.

    Raises:
      UserError: there are not so many.
    """
    total = num_examples(examples)
    order, found, missing = jax.random.permutation(key, total), [], num_samples
    for number, first in enumerate(range(0, total, num_samples)):
        rows = order[first : first + num_samples]
        batch, is_judged = look_at(take_rows(examples, rows), jax.random.fold_in(key, number))
        if isinstance(is_judged, jax.core.Tracer):
            return batch  # abstract evaluation asks for shapes
        chosen = np.flatnonzero(is_judged)[:missing]
        found.append(jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], jax.device_get(batch)))
        missing -= len(chosen)
        if not missing:
            return jax.tree.map(lambda *parts: np.concatenate(parts), *found)
    raise UserError(
        f"only {num_samples - missing} of {total} training images have something that the metric {metric} looks at, and "
        f"filters.rejection.num_samples is {num_samples}"
    )
