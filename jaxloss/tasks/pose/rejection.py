"""What the rejection protocol solves for keypoints: the maps of an untrained network, one keypoint each."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import ProblemMaker, num_examples
from jaxloss.tasks.data.keypoints.source import IMAGE, KEYPOINTS, SCALE
from jaxloss.tasks.metrics.headroom import draw_with_headroom
from jaxloss.tasks.pose.decoding import decode
from jaxloss.tasks.pose.inputs import BRANCH, HeatmapInputs
from jaxloss.tasks.pose.measures import PoseMeasures, worth

# Room beyond the gain that the protocol asks for.
MARGIN = 0.1


def make_problem(
    train: Callable[[PyTree, Array, Array], Array],
    augment: Callable[[PyTree, Array], PyTree] | None,
    inputs: HeatmapInputs,
    measures: PoseMeasures,
    metric: str,
    minimum_gain: float,
) -> ProblemMaker:
    """The untrained network's maps of a few keypoints, each of another training image, as in the first step of a training.

    A sample is one keypoint that is visible, drawn at random from those of its image: its map is optimised, and the metric is the
    one that is searched for, where this keypoint were the only one of the only subject (`measures.worth`). It is what a sample is
    in training, too.

    Args:
      train: `(variables, images, key) -> maps`, in training mode: BatchNorm uses the batch.
      augment: of the task, or None.
      inputs: of losses.
      measures: of keypoints.
      metric: in `measures.METRICS`.
      minimum_gain: that the protocol asks for.

    References:
      Li et al., CVPR 2022, Eq. 3 and Appendix A.4.
    """

    def inputs_of(value: Array, context: Mapping[str, Array]) -> LossInputs:
        return inputs.of_samples(value, context["place"], context["counted"])

    def metric_of(value: Array, context: Mapping[str, Array]) -> Array:
        predicted, _ = decode(value, inputs.stride)
        squared = jnp.sum(((predicted[0, 0] - context["place"][0]) * context["scale"][0]) ** 2)
        similarity, correct = jnp.exp(-squared / context["spread"][0]), squared <= context["reach"][0] ** 2
        return worth(metric, similarity, correct)

    @functools.partial(jax.jit, static_argnames="num_samples")
    def make(variables: PyTree, examples: PyTree, has_keypoint: Array, key: Array, num_samples: int) -> tuple[Array, PyTree]:
        order = jax.random.permutation(key, num_examples(examples))
        rows = order[jnp.argsort(~has_keypoint[order], stable=True)][:num_samples]
        batch = jax.tree.map(lambda leaf: leaf[rows], examples)
        augment_key, forward_key, choice_key = jax.random.split(key, 3)
        # An augmentation moves the keypoints, not the size of the subject in the file.
        spread, reach = measures.spreads(batch), measures.reaches(batch)
        batch = batch if augment is None else augment(batch, augment_key)
        maps = train(variables, batch[IMAGE], forward_key)
        counted = inputs.counted(batch)
        chosen = jnp.argmax(jnp.where(counted, jax.random.uniform(choice_key, counted.shape), -1), axis=-1)
        every = jnp.arange(num_samples)
        context = {
            "place": batch[KEYPOINTS][every, chosen],
            "counted": counted[every, chosen],
            "scale": batch[SCALE],
            "spread": spread[every, chosen],
            "reach": reach,
        }
        return maps[every, :, :, chosen][..., None], context

    def problem(variables: PyTree, examples: PyTree, key: Array, num_samples: int) -> dict[str, RejectionProblem]:
        total = num_examples(examples)
        has_keypoint = jnp.any(inputs.counted(examples), axis=1)
        if not isinstance(has_keypoint, jax.core.Tracer):
            total = int(np.sum(has_keypoint))
        if not 0 < num_samples <= total:
            raise UserError(
                f"filters.rejection.num_samples is {num_samples}, but there are {total} training images with a visible keypoint"
            )

        def draw(key: Array) -> RejectionProblem:
            return RejectionProblem(*make(variables, examples, has_keypoint, key, num_samples), inputs_of, metric_of)

        return {BRANCH: draw_with_headroom(draw, key, minimum_gain, MARGIN)}

    return problem
