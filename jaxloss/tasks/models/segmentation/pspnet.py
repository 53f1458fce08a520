"""PSPNet: means over windows of four sizes, beside the maps that they are means of."""

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.layers import ConvNorm
from jaxloss.tasks.models.resampling import bilinear, window_means
from jaxloss.tasks.models.segmentation.backbone import SegmentationResNet
from jaxloss.tasks.models.segmentation.heads import PixelHead
from jaxloss.tasks.models.segmentation.network import SegmentationLogits

# Windows in a row, and in a column.
WINDOWS = (1, 2, 3, 6)


class PSPNet(SegmentationResNet):
    """A pyramid of means over 1, 4, 9 and 36 windows of the last maps of a residual network.

    Attributes (beside those of `SegmentationResNet`):
      features: channels of each level of the pyramid, and of the convolution over all.

    References:
      H. Zhao, J. Shi, X. Qi, X. Wang, J. Jia: Pyramid Scene Parsing Network, CVPR 2017, section 3.2.
    """

    output_stride: int = 8
    features: int = 512

    def smallest_image(self) -> int:
        """See `SegmentationNetwork`: the last maps have a pixel for each of the smallest windows."""
        return self.output_stride * (max(WINDOWS) - 1) + 1

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> SegmentationLogits:
        """Logits of images `[N, H, W, 3]`.

        Raises:
          UserError: for another output stride than 8 or 16, and for images that are too small.
        """
        height, width = images.shape[1:3]
        *_, third, maps = self.stage_maps(images, train)
        layers, levels = self.layers(), [maps]
        for count in WINDOWS:
            level = ConvNorm(self.features, layers, name=f"windows{count}")(window_means(maps, count), train)
            levels.append(bilinear(level, *maps.shape[1:3]))
        joined = ConvNorm(self.features, layers, 3, name="joined")(jnp.concatenate(levels, axis=-1), train)
        main = PixelHead(self.num_classes, self.dropout, name="pixels")(joined, height, width, train)
        return SegmentationLogits(main, self.auxiliary_logits(third, height, width, train))
