"""Maps of a few keypoints, made up: what losses of heatmaps are told apart by."""

import dataclasses

import numpy as np

from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.data.keypoints.source import KEYPOINTS, VISIBLE
from jaxloss.tasks.pose.inputs import BRANCH, HeatmapInputs

# Wider than two windows of a pooling, so that a position may be outside of both.
SIZE = (8, 9)
NUM_IMAGES, NUM_KEYPOINTS = 2, 2
# Batch by batch: height of the peak where the keypoint is, that of one elsewhere, the ground, and the noise.
KINDS = (
    (0.0, 0.0, 0.0, 0.001),  # untrained
    (0.0, 0.0, 0.0, 0.5),
    (0.3, 0.0, 0.1, 0.05),
    (0.9, 0.1, 0.0, 0.02),  # right
    (1.8, 0.0, 0.0, 0.1),  # higher than the target
    (0.2, 0.9, 0.0, 0.1),  # sure and wrong
    (-0.6, 0.4, -0.2, 0.1),  # the other way round
    (4.0, -3.0, 2.0, 1.0),
)
_SEED = 0


def heatmap_samples(inputs: HeatmapInputs) -> OutputSamples:
    """Batches of small maps; the same at every call.

    From those of an untrained network to those of one that is sure, and right or wrong. One keypoint of a batch is not visible.

    Args:
      inputs: of losses.
    """
    small = dataclasses.replace(inputs, size=SIZE, sigma=min(inputs.sigma, 1.5))
    random, shape = np.random.default_rng(_SEED), (len(KINDS), NUM_IMAGES, NUM_KEYPOINTS)
    # Away from the border, where peaks are whole.
    limits = inputs.stride * np.array(SIZE[::-1])
    keypoints, elsewhere = random.uniform(0.15, 0.8, (2, *shape, 2)) * limits
    visible = np.ones(shape, bool)
    visible[:, -1, -1] = False
    right, wrong = (np.asarray(small.targets(one)) for one in (keypoints, elsewhere))
    peak, other, ground, noise = (np.reshape(values, (-1, 1, 1, 1, 1)) for values in zip(*KINDS, strict=True))
    maps = peak * right + other * wrong + ground + noise * random.normal(size=right.shape)

    def inputs_of(maps: Array, context: PyTree) -> dict[str, LossInputs]:
        return {BRANCH: small(maps, context)}

    context = {KEYPOINTS: keypoints.astype(np.float32), VISIBLE: visible}
    return OutputSamples(np.moveaxis(maps, 2, -1).astype(np.float32), context, inputs_of)
