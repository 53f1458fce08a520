"""Layers with the padding, constants and initial values that PyTorch's ImageNet networks have, so that their weights fit.

Submodules that hold such weights are named as in PyTorch, with `_` for each dot: `models.pretrained` finds tensors by them.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array

# Standard deviation sqrt(2 / (kernel area * outputs)), also where a convolution is depthwise.
KAIMING_FAN_OUT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


@dataclasses.dataclass(frozen=True)
class Layers:
    """Makes the layers of one network, which share these settings.

    Attributes:
      dtype: of the computation, for example `bfloat16`; statistics and parameters are float32.
      momentum: of the running statistics of BatchNorm; 0.9 is PyTorch's 0.1.
      axis_name: device axis over which a batch is divided; BatchNorm then normalises by the statistics of the whole batch. None
        for those of what it is given.
      frozen_statistics: whether BatchNorm normalises by its running statistics in training too, and leaves them as they are:
        those of ImageNet, where batches of detectors are too small for statistics of their own.
    """

    dtype: Any = "float32"
    momentum: float = 0.9
    axis_name: str | None = None
    frozen_statistics: bool = False

    def convolution(
        self,
        features: int,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        name: str,
    ) -> nn.Conv:
        """`[N, H, W, C] -> [N, ceil(H / stride), ceil(W / stride), features]` for an odd kernel.

        The same number of zeros on all sides. With a stride this is not `SAME`, which has fewer above and on the left. With a
        dilation the kernel's pixels are that far apart.
        """
        return nn.Conv(
            features,
            (kernel_size, kernel_size),
            strides=(stride, stride),
            padding=dilation * (kernel_size // 2),
            kernel_dilation=(dilation, dilation),
            feature_group_count=groups,
            use_bias=bias,
            dtype=jnp.dtype(self.dtype),
            kernel_init=KAIMING_FAN_OUT,
            name=name,
        )

    def batch_norm(self, train: bool, name: str, use_bias: bool = True) -> nn.BatchNorm:
        """BatchNorm over all axes but the last."""
        return nn.BatchNorm(
            use_running_average=not train or self.frozen_statistics,
            momentum=self.momentum,
            epsilon=1e-5,
            use_bias=use_bias,
            dtype=jnp.dtype(self.dtype),
            axis_name=self.axis_name,
            name=name,
        )

    def instance_norm(self, name: str) -> nn.InstanceNorm:
        """Normalises each channel of each image on its own, in training and test alike."""
        return nn.InstanceNorm(epsilon=1e-5, dtype=jnp.dtype(self.dtype), name=name)


class ConvNorm(nn.Module):
    """A convolution, a normalisation and ReLU.

    Attributes:
      features: channels that come out.
      layers: makes the layers.
      kernel_size: in pixels.
      stride: in pixels.
      dilation: of the kernel, in pixels.
      groups: of channels that do not see each other.
      norm: `batch`, `instance` or `none`.
      activation: whether there is a ReLU.
    """

    features: int
    layers: Layers
    kernel_size: int = 1
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    norm: str = "batch"
    activation: bool = True

    @nn.compact
    def __call__(self, images: Array, train: bool) -> Array:
        """`[N, H, W, C] -> [N, ceil(H / stride), ceil(W / stride), features]`."""
        shape = {"stride": self.stride, "dilation": self.dilation, "groups": self.groups}
        images = self.layers.convolution(self.features, self.kernel_size, **shape, name="conv")(images)
        if self.norm == "batch":
            images = self.layers.batch_norm(train, "bn")(images)
        elif self.norm == "instance":
            images = self.layers.instance_norm("bn")(images)
        return nn.relu(images) if self.activation else images


def max_pool(images: Array) -> Array:
    """Maxima of 3x3 windows, every second one, `[N, H, W, C] -> [N, ceil(H / 2), ceil(W / 2), C]`."""
    return nn.max_pool(images, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))


def global_mean(images: Array) -> Array:
    """Means over space in float32, `[N, H, W, C] -> [N, C]`."""
    return images.mean(axis=(1, 2), dtype=jnp.float32)
