"""Outputs of both stages, made up, of small images: what losses of detection in two stages are told apart by."""

from collections.abc import Mapping

import jax
import numpy as np

from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.types import Array, LossInputs
from jaxloss.tasks.data.boxes.source import BOXES, CROWD, LABELS, VALID
from jaxloss.tasks.detection.output_samples import NUM_BOXES, NUM_IMAGES, SPREADS, SURENESS
from jaxloss.tasks.two_stage_detection.inputs import FIRST_STAGE, SECOND_STAGE, StageInputs
from jaxloss.tasks.two_stage_detection.matching import OverlapMatching
from jaxloss.tasks.two_stage_detection.regions import Regions, RegionSampler

# Of an image; a few regions around every box, and others anywhere.
NUM_REGIONS, AROUND_A_BOX = 24, 4
_SIDE, _SEED = 64.0, 0


def region_samples(inputs: tuple[StageInputs, StageInputs]) -> OutputSamples:
    """Batches of small images; the same at every call.

    From outputs of a network that is sure and right, with boxes that nearly fit, to those of an untrained one and of one that is
    sure and wrong. One object of each image is a crowd. Both stages have the same regions.

    Args:
      inputs: of the losses of both stages.
    """
    random, shape = np.random.default_rng(_SEED), (len(SPREADS), NUM_IMAGES)
    boxes = _boxes(random, (*shape, NUM_BOXES))
    nearby = boxes[..., None, :] + random.normal(0, 2, (*shape, NUM_BOXES, AROUND_A_BOX, 4))
    others = _boxes(random, (*shape, NUM_REGIONS - NUM_BOXES * AROUND_A_BOX))
    regions = np.concatenate([nearby.reshape(*shape, -1, 4), others], axis=-2).astype(np.float32)
    batch = {
        BOXES: boxes.astype(np.float32),
        LABELS: random.integers(inputs[1].num_classes, size=(*shape, NUM_BOXES)).astype(np.int32),
        VALID: np.ones((*shape, NUM_BOXES), bool),
        CROWD: np.broadcast_to(np.arange(NUM_BOXES) == NUM_BOXES - 1, (*shape, NUM_BOXES)).copy(),
    }
    sampler = RegionSampler(OverlapMatching(0.5, 0.4, 0.3), NUM_REGIONS, 0.75)
    keys = jax.random.split(jax.random.key(_SEED), len(SPREADS))
    context = jax.device_get(jax.jit(jax.vmap(sampler))(keys, regions, np.ones(regions.shape[:-1], bool), batch))
    of_batch = (-1, 1, 1, 1)
    outputs = {}
    for branches, one in zip((FIRST_STAGE, SECOND_STAGE), inputs, strict=True):
        labels = np.asarray(one.one_hot(context.labels))[..., 0, :]
        noise = random.normal(size=context.boxes.shape) * np.reshape(SPREADS, of_batch) / np.asarray(one.coding.deviations)
        wanted = np.asarray(one.coding.encode(context.boxes, context.truth))
        logits = np.reshape(SURENESS, of_batch) * (2.0 * labels - 1) + random.normal(size=labels.shape)
        outputs |= {branches[0]: logits.astype(np.float32), branches[1]: (wanted + noise).astype(np.float32)}

    def inputs_of(outputs: Mapping[str, Array], context: Regions) -> dict[str, LossInputs]:
        found = {}
        for (classes, own_boxes), one in zip((FIRST_STAGE, SECOND_STAGE), inputs, strict=True):
            logits, deltas = outputs[classes], outputs[own_boxes]
            found[classes] = one.classification(logits, one.overlaps(deltas, context), context)
            found[own_boxes] = one.regression(deltas, context)
        return found

    return OutputSamples(outputs, context, inputs_of)


def _boxes(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Boxes `[..., 4]` anywhere in a small image."""
    middles, sides = random.uniform(0.2, 0.8, (*shape, 2)), random.uniform(0.15, 0.6, (*shape, 2))
    return _SIDE * np.clip(np.concatenate([middles - sides / 2, middles + sides / 2], axis=-1), 0, 1)
