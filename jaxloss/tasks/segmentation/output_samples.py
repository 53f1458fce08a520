"""Logits of small images, made up, with regions, boundaries and void: what losses of dense prediction are told apart by."""

import numpy as np

from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.class_logits import KINDS
from jaxloss.tasks.data.masks.pairs import MASK
from jaxloss.tasks.data.masks.source import VOID
from jaxloss.tasks.segmentation.inputs import BRANCH, PixelInputs
from jaxloss.tasks.segmentation.splits import PRIOR

# Wider than two windows of a pooling, so that a position may be outside of both.
SIZE = (7, 8)
NUM_IMAGES = 2
_NUM_MIXED = 3
_SEED = 0
# Points whose surroundings are the regions of an image.
_NUM_REGIONS = 4


def dense_samples(inputs: PixelInputs, frequencies: np.ndarray) -> OutputSamples:
    """Batches of small images; the same at every call.

    The predictions of the first batches are of one kind each, from those of an untrained network to those of one that is sure,
    and right or wrong; in the others every position is of some kind. Labels are regions; a corner and a single position are void.

    Args:
      inputs: of losses.
      frequencies: float `[C]`, what losses may read of the classes.
    """
    num_classes, random = inputs.num_classes, np.random.default_rng(_SEED)
    batches = [[kind] for kind in KINDS] + [list(KINDS)] * _NUM_MIXED
    masks = np.stack([[_regions(random, num_classes) for _ in range(NUM_IMAGES)] for _ in batches])
    logits = np.empty((*masks.shape, num_classes), np.float32)
    for batch, kinds in enumerate(batches):
        for place in np.ndindex(*masks.shape[1:]):
            kind = kinds[random.integers(len(kinds))]
            logits[batch][place] = kind(random, num_classes, masks[batch][place])
    masks[:, :, :2, :2] = VOID
    masks[:, :, -2, -3] = VOID
    prior = np.broadcast_to(np.asarray(frequencies, np.float32), (len(batches), NUM_IMAGES, num_classes))

    def inputs_of(logits: Array, context: PyTree) -> dict[str, LossInputs]:
        return {BRANCH: inputs(logits, context)}

    return OutputSamples(logits, {MASK: masks.astype(np.uint8), PRIOR: prior}, inputs_of)


def _regions(random: np.random.Generator, num_classes: int) -> np.ndarray:
    """A class for each position, int `[H, W]`, that of the nearest of a few points."""
    points = random.uniform((0, 0), SIZE, (_NUM_REGIONS, 2))
    classes = random.integers(num_classes, size=_NUM_REGIONS)
    places = np.stack(np.mgrid[: SIZE[0], : SIZE[1]], axis=-1)
    distances = ((places[:, :, None] - points) ** 2).sum(axis=-1)
    return classes[distances.argmin(axis=-1)]
