"""Faster R-CNN with ResNet-50 and a feature pyramid: the network of the papers."""

import itertools

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.models.detection.faster_rcnn import FasterRCNN
from jaxloss.tasks.models.detection.top_down import top_down
from jaxloss.tasks.models.layers import Layers
from jaxloss.tasks.models.resnet50 import DEPTHS, ResNetBlocks

# Of the maps of the four stages, and of the last map with every other row and column left out.
_STRIDES = (4, 8, 16, 32, 64)


class FasterRCNNResNet50(FasterRCNN):
    """A residual network, a pyramid of its stages, and the two stages of Faster R-CNN.

    With 90 classes the parameters are those of torchvision's `fasterrcnn_resnet50_fpn` for 91, background among them, but for
    53,120 scales and shifts of BatchNorm, which are constants there, 771 more in the first stage, which has a logit for
    background, and 4,100 fewer in the second, which has no box for it.

    Attributes:
      num_classes: without background.
      num_anchors: of a location.
      depths: blocks of each stage of the residual network, see `resnet50.DEPTHS`.
      width: channels of its stem; ImageNet weights need the default.
      num_levels: of the pyramid, the last ones of those with strides 4, 8, 16, 32 and 64; regions are cut out of all but that of
        stride 64.
      channels: of the pyramid.
      proposal_channels: of the first stage.
      head_width: of the two layers of the second stage.
      region_size: bins along each side of a region, see `roi_align`.
      sampling_ratio: points along each side of a bin.
      canonical_cells: root of the area of a region that just reaches a level, in strides of that level.
      frozen_statistics: whether BatchNorm keeps the statistics that it came with, as detectors with few images a batch do.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and outputs are float32.
      momentum: of the running statistics of BatchNorm.
      axis_name: of the device axis over which a batch is divided, see `TwoStageNetwork`.

    References:
      S. Ren et al.: Faster R-CNN, NIPS 2015; T.-Y. Lin et al.: Feature Pyramid Networks for Object Detection, CVPR 2017.
    """

    num_classes: int
    num_anchors: int = 3
    depths: tuple[int, ...] = DEPTHS["resnet50"]
    width: int = 64
    num_levels: int = 5
    channels: int = 256
    proposal_channels: int = 256
    head_width: int = 1024
    region_size: int = 7
    sampling_ratio: int = 2
    canonical_cells: float = 14.0
    frozen_statistics: bool = False
    dtype: str = "float32"
    momentum: float = 0.9
    axis_name: str | None = None

    @property
    def strides(self) -> tuple[int, ...]:
        """See `TwoStageNetwork`."""
        return _STRIDES[-self.num_levels :]

    @property
    def num_pooled(self) -> int:
        """See `FasterRCNN.num_pooled`."""
        return self.num_levels - 1

    def setup(self):
        """Makes the submodules; the stages of the backbone are filled from one file."""
        if not 2 <= self.num_levels <= len(_STRIDES):
            raise UserError(f"num_levels of {type(self).__name__} is 2 to {len(_STRIDES)}, not {self.num_levels}")
        layers = Layers(self.dtype, self.momentum, self.axis_name)
        ends = (0, *itertools.accumulate(self.depths))
        shared = {"layers": layers, "depths": self.depths, "width": self.width}
        self.backbone = [ResNetBlocks(**shared, start=start, stop=stop) for start, stop in itertools.pairwise(ends)]
        dense = {"dtype": jnp.dtype(self.dtype), "kernel_init": nn.initializers.xavier_uniform()}
        self.lateral = [nn.Conv(self.channels, (1, 1), **dense) for _ in range(self.num_pooled)]
        self.smoothing = [nn.Conv(self.channels, (3, 3), padding=1, **dense) for _ in range(self.num_pooled)]
        self.make_heads(self.proposal_channels)

    def pyramid(self, images: Array, train: bool) -> list[Array]:
        """Maps of all levels, `[N, h, w, channels]` of images `[N, H, W, 3]`, the finest first."""
        maps, found = images.astype(jnp.dtype(self.dtype)), []
        for stage in self.backbone:
            maps = stage(maps, train and not self.frozen_statistics)
            found.append(maps)
        lateral = [layer(one) for layer, one in zip(self.lateral, found[-self.num_pooled :], strict=True)]
        levels = [layer(one) for layer, one in zip(self.smoothing, top_down(lateral), strict=True)]
        # The coarsest is the one before without every other row and column.
        return [*levels, levels[-1][:, ::2, ::2]]
