"""The last layers of networks for dense prediction."""

import flax.linen as nn

from jaxloss.core.types import Array
from jaxloss.tasks.models.head import Head
from jaxloss.tasks.models.layers import ConvNorm, Layers
from jaxloss.tasks.models.resampling import bilinear

# The auxiliary head narrows the maps by this factor.
AUXILIARY_REDUCTION = 4


class PixelHead(nn.Module):
    """Dropout of whole channels, a logit for each class at each pixel, and bilinear interpolation to the size of the image.

    Attributes:
      num_classes: `C`.
      dropout: the share of channels that are left out in training.
    """

    num_classes: int
    dropout: float

    @nn.compact
    def __call__(self, maps: Array, height: int, width: int, train: bool) -> Array:
        """`[N, h, w, features] -> [N, height, width, C]`, in float32."""
        kept = nn.Dropout(self.dropout, broadcast_dims=(1, 2), deterministic=not train)(maps)
        return bilinear(Head(self.num_classes, name="head")(kept), height, width)


class AuxiliaryHead(nn.Module):
    """A 3x3 convolution to a quarter of the channels, and the logits: torchvision's `FCNHead`.

    Attributes:
      num_classes: `C`.
      dropout: see `PixelHead`.
      layers: makes the layers.

    References:
      H. Zhao, J. Shi, X. Qi, X. Wang, J. Jia: Pyramid Scene Parsing Network, CVPR 2017, section 3.3.
    """

    num_classes: int
    dropout: float
    layers: Layers

    @nn.compact
    def __call__(self, maps: Array, height: int, width: int, train: bool) -> Array:
        """`[N, h, w, features] -> [N, height, width, C]`, in float32."""
        maps = ConvNorm(maps.shape[-1] // AUXILIARY_REDUCTION, self.layers, 3, name="reduction")(maps, train)
        return PixelHead(self.num_classes, self.dropout, name="pixels")(maps, height, width, train)
