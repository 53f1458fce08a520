"""A residual network as the backbone of dense prediction: the feature maps of its stages, fine by dilation."""

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.models.layers import Layers
from jaxloss.tasks.models.resnet50 import stage_maps
from jaxloss.tasks.models.segmentation.heads import AuxiliaryHead
from jaxloss.tasks.models.segmentation.network import SegmentationNetwork

# Pixels of an image for one of the last feature maps.
OUTPUT_STRIDES = (8, 16)


class SegmentationResNet(SegmentationNetwork):
    """What the networks with a residual network as their backbone share.

    Attributes:
      num_classes: `C`.
      depths: blocks of each stage, see `resnet50.DEPTHS`.
      width: channels of the stem; ImageNet weights need the default.
      output_stride: pixels of an image for one of the backbone's last feature maps: 8 or 16.
      auxiliary: whether training also gives the logits of a head on the maps of the third stage.
      dropout: the share of channels that are left out before the logits, in training.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and logits are float32.
      momentum: of the running statistics of BatchNorm.
      axis_name: of the device axis over which a batch is divided, see `SegmentationNetwork`.
    """

    num_classes: int
    depths: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    output_stride: int = 16
    auxiliary: bool = True
    dropout: float = 0.1
    dtype: str = "float32"
    momentum: float = 0.9
    axis_name: str | None = None

    def layers(self) -> Layers:
        """What makes the layers."""
        return Layers(self.dtype, self.momentum, self.axis_name)

    def stage_maps(self, images: Array, train: bool) -> list[Array]:
        """The feature maps of the four stages, see `resnet50.stage_maps`; for calls inside `__call__`.

        Args:
          images: `[N, H, W, 3]`.
          train: whether BatchNorm uses the batch.

        Returns:
          `[N, ceil(H / s), ceil(W / s), 4 * width * 2^stage]` with s = 4, 8, then at most `output_stride`.

        Raises:
          UserError: for another output stride than 8 or 16, and for images that are too small.
        """
        if self.output_stride not in OUTPUT_STRIDES:
            raise UserError(f"the output_stride of {type(self).__name__} is 8 or 16, not {self.output_stride}")
        self.check_size(images)
        return stage_maps(images.astype(self.dtype), train, self.layers(), self.depths, self.width, self.output_stride)

    def auxiliary_logits(self, maps: Array, height: int, width: int, train: bool) -> Array | None:
        """Those of the head on the maps `[N, h, w, c]` of the third stage, in training alone; for calls inside `__call__`."""
        # Its parameters are there from the beginning.
        if not self.auxiliary or not (train or self.is_initializing()):
            return None
        head = AuxiliaryHead(self.num_classes, self.dropout, self.layers(), name="auxiliary_head")
        return head(maps, height, width, train)
