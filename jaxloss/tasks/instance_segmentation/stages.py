"""Both stages of a detector and its mask branch, one after the other."""

import dataclasses
from collections.abc import Mapping

import jax
from flax import struct

from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.detection.nms import Detections
from jaxloss.tasks.instance_segmentation.inputs import MASK, MaskInputs, of_class
from jaxloss.tasks.two_stage_detection.decoding import RegionDecoder
from jaxloss.tasks.two_stage_detection.regions import Regions
from jaxloss.tasks.two_stage_detection.stages import Stages


@struct.dataclass
class FoundMasks:
    """What was found in the images of a batch.

    Attributes:
      detections: `M` of each image.
      masks: float `[N, M, m, m]`, in each cell of a box the probability of belonging to the object.
    """

    detections: Detections
    masks: Array


@dataclasses.dataclass(frozen=True, eq=False)
class MaskStages(Stages):
    """The stages with the mask branch as pure functions over plain variables.

    Attributes:
      masks: the inputs of its losses.
      num_learnt: sampled proposals of an image, the first of them, among which are all that may be positive.
    """

    masks: MaskInputs
    num_learnt: int

    def segment(self, variables: PyTree, pyramid: tuple[Array, ...], boxes: Array, valid: Array, labels: Array) -> Array:
        """Logits `[N, R, m, m]` of the masks of boxes `[N, R, 4]` for their classes `[N, R]`; the same in training."""
        logits = self.network.apply(variables, pyramid, boxes, valid, method=self.network.segment)
        return of_class(logits, labels)

    def forward(self, variables: PyTree, batch: Mapping[str, Array], key: Array) -> tuple[dict[str, LossInputs], PyTree]:
        """The inputs of the losses of all five branches, in training mode; see `Task.forward`."""
        passed = self.passed(variables, batch, key)
        regions: Regions = jax.tree.map(lambda leaf: leaf[:, : self.num_learnt], passed.regions)
        logits = self.segment(passed.variables, passed.pyramid, regions.boxes, regions.positive, regions.labels)
        inputs = self.masks(logits, self.masks.targets(regions, batch), regions.positive)
        return {**passed.branches, MASK: inputs}, passed.variables

    def find(self, variables: PyTree, images: Array, decode: RegionDecoder) -> FoundMasks:
        """Objects and their masks, in evaluation mode: masks are those of the boxes that are found, as in the paper.

        References:
          K. He et al.: Mask R-CNN, ICCV 2017, Section 3.1 (Inference).
        """
        first = self.before(variables, images)
        found = decode(*self.after(variables, first))
        logits = self.segment(variables, first.pyramid, found.boxes, found.labels >= 0, found.labels)
        return FoundMasks(found, jax.nn.sigmoid(logits))
