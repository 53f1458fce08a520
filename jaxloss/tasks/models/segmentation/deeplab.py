"""DeepLabv3+: dilated convolutions of several rates on coarse maps, and a decoder that reads fine ones."""

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.layers import ConvNorm, Layers
from jaxloss.tasks.models.resampling import bilinear
from jaxloss.tasks.models.segmentation.backbone import SegmentationResNet
from jaxloss.tasks.models.segmentation.heads import PixelHead
from jaxloss.tasks.models.segmentation.network import SegmentationLogits

# Dilations in pixels of maps that are 16 times smaller than the image; of finer maps it takes more of them.
RATES = (6, 12, 18)
_STRIDE_OF_RATES = 16


class WideConvNorm(nn.Module):
    """A 3x3 convolution with BatchNorm and ReLU, either dense or in two factors, depthwise 3x3 and 1x1, each with both.

    Attributes:
      features: channels that come out.
      layers: makes the layers.
      dilation: in pixels.
      separable: whether it is in two factors.
    """

    features: int
    layers: Layers
    dilation: int = 1
    separable: bool = False

    @nn.compact
    def __call__(self, maps: Array, train: bool) -> Array:
        """`[N, h, w, C] -> [N, h, w, features]`."""
        if not self.separable:
            return ConvNorm(self.features, self.layers, 3, dilation=self.dilation, name="dense")(maps, train)
        channels = maps.shape[-1]
        depthwise = ConvNorm(channels, self.layers, 3, dilation=self.dilation, groups=channels, name="depthwise")
        return ConvNorm(self.features, self.layers, name="pointwise")(depthwise(maps, train), train)


class SpatialPyramid(nn.Module):
    """ASPP: a 1x1 convolution, three dilated 3x3 ones and the mean of the whole map, side by side, and a 1x1 over all.

    Attributes:
      features: channels of each branch, and of the result.
      layers: makes the layers.
      rates: dilations in pixels.
      separable: see `WideConvNorm`.
    """

    features: int
    layers: Layers
    rates: tuple[int, ...] = RATES
    separable: bool = False

    @nn.compact
    def __call__(self, maps: Array, train: bool) -> Array:
        """`[N, h, w, C] -> [N, h, w, features]`."""
        branches = [ConvNorm(self.features, self.layers, name="point")(maps, train)]
        for rate in self.rates:
            branch = WideConvNorm(self.features, self.layers, rate, self.separable, name=f"rate{rate}")
            branches.append(branch(maps, train))
        mean = maps.mean(axis=(1, 2), keepdims=True, dtype=jnp.float32).astype(maps.dtype)
        whole = ConvNorm(self.features, self.layers, name="mean")(mean, train)
        branches.append(jnp.broadcast_to(whole, branches[0].shape))
        return ConvNorm(self.features, self.layers, name="projection")(jnp.concatenate(branches, axis=-1), train)


class DeepLabV3Plus(SegmentationResNet):
    """ASPP on the last maps of a residual network, and a decoder that joins them with those of its first stage.

    Attributes (beside those of `SegmentationResNet`):
      features: channels of ASPP and of the decoder.
      fine_features: channels that the maps of the first stage are narrowed to.
      separable: whether the 3x3 convolutions of ASPP and decoder are in two factors. Chen et al. use that with Xception, later
        libraries with residual networks too.

    References:
      L.-C. Chen, Y. Zhu, G. Papandreou, F. Schroff, H. Adam: Encoder-Decoder with Atrous Separable Convolution for Semantic
      Image Segmentation, ECCV 2018, sections 3.1 and 4.1.
    """

    features: int = 256
    fine_features: int = 48
    separable: bool = False

    def smallest_image(self) -> int:
        """See `SegmentationNetwork`: the last maps have two pixels a side, below which there is nothing to dilate."""
        return self.output_stride + 1

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> SegmentationLogits:
        """Logits of images `[N, H, W, 3]`.

        Raises:
          UserError: for another output stride than 8 or 16, and for images that are too small.
        """
        height, width = images.shape[1:3]
        fine, _, third, coarse = self.stage_maps(images, train)
        layers = self.layers()
        rates = tuple(rate * _STRIDE_OF_RATES // self.output_stride for rate in RATES)
        coarse = SpatialPyramid(self.features, layers, rates, self.separable, name="pyramid")(coarse, train)
        fine = ConvNorm(self.fine_features, layers, name="fine")(fine, train)
        maps = jnp.concatenate([bilinear(coarse, *fine.shape[1:3]), fine], axis=-1)
        for number in (1, 2):
            maps = WideConvNorm(self.features, layers, separable=self.separable, name=f"decoder{number}")(maps, train)
        main = PixelHead(self.num_classes, self.dropout, name="pixels")(maps, height, width, train)
        return SegmentationLogits(main, self.auxiliary_logits(third, height, width, train))
