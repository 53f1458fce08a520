"""The residual network of the performance predictor, for curves in place of images (AutoLoss-GMS, section F)."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.errors import unknown
from jaxloss.core.types import Array
from jaxloss.tasks.models.convolution import CONVOLUTIONS


@dataclasses.dataclass(frozen=True)
class ResNetLayout:
    """What the depth of a residual network means.

    Attributes:
      blocks: in each of the four stages.
      bottleneck: blocks of kernels 1, 3, 1 with four times as many channels at their ends; else two kernels of 3.
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool


LAYOUTS: Mapping[int, ResNetLayout] = {
    10: ResNetLayout((1, 1, 1, 1), bottleneck=False),
    18: ResNetLayout((2, 2, 2, 2), bottleneck=False),
    34: ResNetLayout((3, 4, 6, 3), bottleneck=False),
    50: ResNetLayout((3, 4, 6, 3), bottleneck=True),
}
EXPANSION = 4


class ResNet1D(nn.Module):
    """A stem, four stages of residual blocks (each but the first halves the curve), a mean over the curve, dense layers.

    With depth 50 and 64 channels it is the paper's: ResNet-50 with one-dimensional convolutions, normalisation and pooling;
    15,957,185 parameters for 3 channels and no hidden layer.

    Attributes:
      depth: a key of `LAYOUTS`.
      width: channels of the first stage; every further stage doubles them.
      hidden: widths of the dense layers before the last one, which gives the one number.
      convolution: `native`, or `patches`, which is faster inside a loop on a CPU, see `tasks.models.convolution`.
      dtype: of the computation.
      momentum: of the running statistics of BatchNorm.

    References:
      K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition, CVPR 2016, table 1.
    """

    depth: int = 50
    width: int = 64
    hidden: Sequence[int] = ()
    convolution: str = "patches"
    dtype: Any = "float32"
    momentum: float = 0.9

    @nn.compact
    def __call__(self, curves: Array, train: bool = False) -> Array:
        """Predictions `[N]` of curves `[N, points, channels]`; with `train` BatchNorm uses the batch and updates `batch_stats`.

        Raises:
          UserError: for a depth that is not in `LAYOUTS`.
        """
        if self.depth not in LAYOUTS:
            raise unknown("depth of the predictor", str(self.depth), map(str, LAYOUTS))
        layout = LAYOUTS[self.depth]
        norm = functools.partial(nn.BatchNorm, use_running_average=not train, momentum=self.momentum, dtype=self.dtype)

        # A curve is an image of one row, so that both implementations of the convolution serve.
        hidden = nn.relu(norm()(self._convolution(self.width, 7, 2)(curves[:, None])))
        hidden = nn.max_pool(hidden, (1, 3), strides=(1, 2), padding=((0, 0), (1, 1)))
        for stage, num_blocks in enumerate(layout.blocks):
            features = self.width * 2**stage
            for block in range(num_blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                branch, shortcut = self._branch(norm, layout, hidden, features, stride), hidden
                if shortcut.shape != branch.shape:
                    shortcut = norm()(self._convolution(branch.shape[-1], 1, stride)(shortcut))
                hidden = nn.relu(branch + shortcut)
        hidden = hidden.mean(axis=(1, 2))
        for features in self.hidden:
            hidden = nn.relu(nn.Dense(features, dtype=self.dtype)(hidden))
        return nn.Dense(1, dtype=self.dtype)(hidden)[:, 0].astype(jnp.float32)

    def _branch(self, norm: Any, layout: ResNetLayout, hidden: Array, features: int, stride: int) -> Array:
        """The residual branch of one block."""
        layers = [(features, 3, stride), (features, 3, 1)]
        if layout.bottleneck:
            layers = [(features, 1, 1), (features, 3, stride), (EXPANSION * features, 1, 1)]
        for place, layer in enumerate(layers):
            hidden = norm()(self._convolution(*layer)(hidden if place == 0 else nn.relu(hidden)))
        return hidden

    def _convolution(self, features: int, kernel_size: int, stride: int) -> nn.Conv:
        if self.convolution not in CONVOLUTIONS:
            raise unknown("convolution", self.convolution, CONVOLUTIONS)
        margin = kernel_size // 2
        return nn.Conv(
            features,
            (1, kernel_size),
            strides=(1, stride),
            padding=((0, 0), (margin, margin)),
            use_bias=False,
            dtype=self.dtype,
            kernel_init=nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
            conv_general_dilated=CONVOLUTIONS[self.convolution],
        )
