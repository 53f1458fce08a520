"""A light U-Net that trains in seconds on a CPU: the proxy network for dense prediction."""

import functools

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.convolution import convolution
from jaxloss.tasks.models.head import Head
from jaxloss.tasks.models.resampling import bilinear, doubled
from jaxloss.tasks.models.segmentation.network import SegmentationLogits, SegmentationNetwork


def spread_pixels(maps: Array, height: int, width: int) -> Array:
    """Four pixels side by side of the channels of each, cut to a size: `[N, h, w, 4 C] -> [N, height, width, C]`.

    References:
      W. Shi et al.: Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network,
      CVPR 2016.
    """
    n, rows, columns, channels = maps.shape
    blocks = maps.reshape(n, rows, columns, 2, 2, channels // 4).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, 2 * rows, 2 * columns, channels // 4)[:, :height, :width]


class LightUNet(SegmentationNetwork):
    """Convolutions that halve the image, and a way back that joins the maps of each size with those that come from below.

    Built for one core: what has the size of the image is only the image and the logits. Maps of half the size have few channels,
    are read by no 3x3 convolution but the one that halves them, and give the logits of four pixels each. All other 3x3
    convolutions are depthwise, with a 1x1 behind. No backbone.

    Without the maps of half the size on the way back it is faster still, and boundaries are smoother than the image's.

    Attributes:
      num_classes: `C`.
      features: channels of the maps of 1/2, 1/4, 1/8, ... of the size of the image.
      join_half: whether the way back ends with the maps of half the size; else the logits are interpolated from those of a
        quarter.
      convolution: `patches` or `native`, see `models.convolution`.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and logits are float32.
      momentum: of the running statistics of BatchNorm.
      axis_name: of the device axis over which a batch is divided, see `SegmentationNetwork`.

    References:
      O. Ronneberger, P. Fischer, T. Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015.
    """

    num_classes: int
    features: tuple[int, ...] = (8, 32, 64, 128)
    join_half: bool = True
    convolution: str = "patches"
    dtype: str = "float32"
    momentum: float = 0.9
    axis_name: str | None = None

    def smallest_image(self) -> int:
        """See `SegmentationNetwork`: the smallest maps have two pixels a side."""
        return 2 ** len(self.features) + 1

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> SegmentationLogits:
        """Logits of images `[N, H, W, channels]`.

        Raises:
          UserError: for images that are too small.
        """
        self.check_size(images)
        height, width = images.shape[1:3]
        dtype = jnp.dtype(self.dtype)
        layer = functools.partial(convolution, implementation=self.convolution, use_bias=False, dtype=dtype)
        statistics = {"use_running_average": not train, "momentum": self.momentum, "axis_name": self.axis_name}
        norm = functools.partial(nn.BatchNorm, **statistics, dtype=dtype)

        def separable(maps: Array) -> Array:
            channels = maps.shape[-1]
            return norm()(layer(channels, 1)(layer(channels, groups=channels)(maps)))

        maps, sizes = images.astype(dtype), []
        for level, channels in enumerate(self.features):
            maps = nn.relu(norm()(layer(channels, stride=2)(maps)))
            if level > 0:
                maps = nn.relu(maps + separable(maps))
            sizes.append(maps)
        for level in reversed(range(0 if self.join_half else 1, len(self.features) - 1)):
            fine = sizes[level]
            channels = fine.shape[-1]
            # Narrowed before it is doubled: a quarter of the work.
            below = doubled(layer(channels, 1)(maps), *fine.shape[1:3])
            maps = nn.relu(norm()(below + layer(channels, 1)(fine)))
            if level > 0:
                maps = nn.relu(separable(maps))
        if self.join_half:
            return SegmentationLogits(spread_pixels(Head(4 * self.num_classes)(maps), height, width))
        return SegmentationLogits(bilinear(Head(self.num_classes)(maps), height, width))
