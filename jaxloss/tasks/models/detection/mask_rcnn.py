"""Mask R-CNN: the networks of Faster R-CNN with a mask branch."""

from jaxloss.tasks.models.detection.faster_rcnn import TinyFasterRCNN
from jaxloss.tasks.models.detection.faster_rcnn_resnet50 import FasterRCNNResNet50
from jaxloss.tasks.models.detection.mask_head import WithMasks


class TinyMaskRCNN(WithMasks, TinyFasterRCNN):
    """`TinyFasterRCNN` with a small mask branch.

    Attributes:
      mask_channels: of the mask branch.
      mask_depth: its convolutions before the size is doubled.
      mask_region_size: bins along each side of a region; masks have twice as many pixels.

    References:
      K. He et al.: Mask R-CNN, ICCV 2017.
    """

    mask_channels: int = 16
    mask_depth: int = 1
    mask_region_size: int = 14


class MaskRCNNResNet50(WithMasks, FasterRCNNResNet50):
    """`FasterRCNNResNet50` with the mask branch of the paper.

    Attributes:
      mask_channels: of the mask branch.
      mask_depth: its convolutions before the size is doubled.
      mask_region_size: bins along each side of a region; masks have twice as many pixels.

    References:
      K. He et al.: Mask R-CNN, ICCV 2017, Figure 4, right.
    """

    mask_channels: int = 256
    mask_depth: int = 4
    mask_region_size: int = 14
