"""The mask branch of a network of two stages: where in a region the object is, for every class."""

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.convolution import convolution
from jaxloss.tasks.models.detection.roi_align import roi_align


class MaskHead(nn.Module):
    """3x3 convolutions, a transposed convolution that doubles the size, and a logit for each class.

    Attributes:
      num_classes: `C`, without background.
      channels: of all layers.
      depth: convolutions before the size is doubled.
      convolution: `patches` or `native`, see `models.convolution`.
      dtype: of all but the last layer; outputs are float32.

    References:
      K. He et al.: Mask R-CNN, ICCV 2017, Figure 4, right (four convolutions of 256 channels).
    """

    num_classes: int
    channels: int
    depth: int
    convolution: str = "patches"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, features: Array) -> Array:
        """Logits `[N, R, 2 size, 2 size, C]` of features `[N, R, size, size, channels]`."""
        count, regions, size = features.shape[:3]
        dtype = jnp.dtype(self.dtype)
        through = features.reshape(count * regions, size, size, -1)
        for _ in range(self.depth):
            through = nn.relu(convolution(self.channels, implementation=self.convolution, dtype=dtype)(through))
        # Kernels of 2 x 2 pixels at every second pixel do not overlap: one matrix product.
        spread = nn.Dense(4 * self.channels, use_bias=False, dtype=dtype, kernel_init=nn.initializers.he_normal())(through)
        spread = spread.reshape(len(through), size, size, 2, 2, self.channels).transpose(0, 1, 3, 2, 4, 5)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,), jnp.float32).astype(dtype)
        doubled = nn.relu(spread.reshape(len(through), 2 * size, 2 * size, self.channels) + bias)
        last = nn.Dense(self.num_classes, dtype=jnp.float32, kernel_init=nn.initializers.normal(0.001))
        return last(doubled.astype(jnp.float32)).reshape(count, regions, 2 * size, 2 * size, self.num_classes)


class WithMasks:
    """What a `FasterRCNN` needs to have a mask branch too; stands before it among the bases of a network.

    A network has the attributes `mask_channels`, `mask_depth` and `mask_region_size` (bins along each side of a region, half of
    the pixels along each side of a mask).
    """

    def make_heads(self, proposal_channels: int) -> None:
        """Makes the submodule `mask_head` beside those of the boxes."""
        super().make_heads(proposal_channels)
        implementation = getattr(self, "convolution", "native")
        self.mask_head = MaskHead(self.num_classes, self.mask_channels, self.mask_depth, implementation, self.dtype)

    def segment(self, pyramid: tuple[Array, ...], boxes: Array, valid: Array) -> Array:
        """Logits of the masks of regions, `[N, R, m, m, C]`, `m = 2 mask_region_size`.

        Args:
          pyramid: of the first stage.
          boxes: float `[N, R, 4]` in pixels.
          valid: bool `[N, R]`, False for padding.
        """
        maps = [one.astype(jnp.float32) for one in pyramid[: self.num_pooled]]
        strides = self.strides[: self.num_pooled]
        return self.mask_head(
            roi_align(maps, strides, boxes, valid, self.mask_region_size, self.sampling_ratio, self.canonical_cells)
        )

    def __call__(self, images: Array, train: bool = False) -> tuple:
        """As `FasterRCNN`, with the mask of the region as a third output."""
        first, second = super().__call__(images, train)
        count, height, width = images.shape[:3]
        whole = jnp.broadcast_to(jnp.array([0, 0, width, height], jnp.float32), (count, 1, 4))
        return first, second, self.segment(first.pyramid, whole, jnp.ones((count, 1), bool))
