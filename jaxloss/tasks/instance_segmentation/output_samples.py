"""Outputs of all branches, made up, of small images: what losses of instance segmentation are told apart by."""

from collections.abc import Mapping

import jax
import numpy as np

from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.detection.output_samples import SURENESS
from jaxloss.tasks.instance_segmentation.inputs import MASK, MaskInputs
from jaxloss.tasks.two_stage_detection.inputs import StageInputs
from jaxloss.tasks.two_stage_detection.output_samples import region_samples

# Regions of an image that have a mask, the first of which learns none; cells of a mask, wider than two windows of a pooling.
NUM_MASKS, SIZE = 3, 7
_SEED = 1


def instance_samples(inputs: tuple[StageInputs, StageInputs], masks: MaskInputs) -> OutputSamples:
    """Those of `two_stage_detection`, and masks of regions; the same at every call.

    Masks are discs. Their logits go from those of a network that is sure and right to those of an untrained one and of one that
    is sure and wrong.

    Args:
      inputs: of the losses of both stages.
      masks: of those of masks.
    """
    of_boxes = region_samples(inputs)
    random = np.random.default_rng(_SEED)
    shape = (*jax.tree.leaves(of_boxes.outputs)[0].shape[:2], NUM_MASKS)
    middles, radii = random.uniform(1, SIZE - 1, (*shape, 2, 1, 1)), random.uniform(1.5, 3.5, (*shape, 1, 1))
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    inside = (rows - middles[..., 0, :, :]) ** 2 + (columns - middles[..., 1, :, :]) ** 2 < radii**2
    sure = np.reshape(SURENESS, (-1, 1, 1, 1, 1))
    logits = (sure * (2.0 * inside - 1) + random.normal(size=inside.shape)).astype(np.float32)
    positive = np.broadcast_to(np.arange(NUM_MASKS) > 0, shape).copy()
    context = {"of_boxes": of_boxes.context, "inside": inside, "positive": positive}

    def inputs_of(outputs: Mapping[str, Array], context: PyTree) -> dict[str, LossInputs]:
        own = masks(outputs[MASK], context["inside"], context["positive"])
        return {**of_boxes.inputs({name: one for name, one in outputs.items() if name != MASK}, context["of_boxes"]), MASK: own}

    return OutputSamples({**of_boxes.outputs, MASK: logits}, context, inputs_of)
