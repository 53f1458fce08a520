"""A convolutional network that trains in seconds on a CPU: the proxy network for 32x32 images."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.errors import unknown
from jaxloss.core.types import Array
from jaxloss.tasks.models.convolution import convolution
from jaxloss.tasks.models.head import Head


def mean_pool(images: Array) -> Array:
    """Means of 2x2 windows, `[N, H, W, C] -> [N, H // 2, W // 2, C]`; an odd last row or column is dropped.

    By reshaping: a pooling window is a loop in XLA, and its gradient another.
    """
    n, height, width, channels = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


class SmallCNN(nn.Module):
    """3x3 convolutions with ReLU that halve the image, a mean over what is left, and a dense layer. No BatchNorm.

    Attributes:
      num_classes: `C`.
      features: channels of each convolution.
      downsampling: `stride` halves the image in each convolution, the cheap way; `mean_pool` after each but the last,
        which costs about five times as much and sees more.
      convolution: `patches` or `native`, see `models.convolution`.
      dtype: of the computation, for example `bfloat16`; logits are float32.
    """

    num_classes: int
    features: tuple[int, ...] = (16, 32, 64)
    downsampling: str = "stride"
    convolution: str = "patches"
    dtype: Any = "float32"

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Array:
        """Logits `[N, C]` of images `[N, H, W, channels]`; `train` changes nothing."""
        del train
        if self.downsampling not in ("stride", "mean_pool"):
            raise unknown("downsampling", self.downsampling, ("stride", "mean_pool"))
        hidden, dtype = images, jnp.dtype(self.dtype)
        for index, width in enumerate(self.features):
            stride = 2 if self.downsampling == "stride" else 1
            hidden = nn.relu(convolution(width, stride=stride, implementation=self.convolution, dtype=dtype)(hidden))
            if self.downsampling == "mean_pool" and index < len(self.features) - 1:
                hidden = mean_pool(hidden)
        return Head(self.num_classes)(hidden.mean(axis=(1, 2)))
