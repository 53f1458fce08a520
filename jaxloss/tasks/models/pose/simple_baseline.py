"""SimpleBaseline: a residual network and three transposed convolutions."""

import functools

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.layers import Layers
from jaxloss.tasks.models.pose.light import START_DEVIATION
from jaxloss.tasks.models.pose.network import PoseNetwork
from jaxloss.tasks.models.resnet50 import DEPTHS, ResNetBlocks

_STRIDE = 32


class SimpleBaseline(PoseNetwork):
    """A residual network whose last maps are doubled by transposed convolutions of 4x4, each with BatchNorm and ReLU.

    Attributes:
      num_keypoints: `K`.
      depths: blocks of each stage, see `resnet50.DEPTHS`.
      width: channels of the stem; ImageNet weights need the default.
      channels: of each transposed convolution.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and maps are float32.
      momentum: of the running statistics of BatchNorm.
      axis_name: of the device axis over which a batch is divided, see `PoseNetwork`.

    References:
      B. Xiao, H. Wu, Y. Wei: Simple Baselines for Human Pose Estimation and Tracking, ECCV 2018, Section 2.
    """

    num_keypoints: int
    depths: tuple[int, ...] = DEPTHS["resnet50"]
    width: int = 64
    channels: tuple[int, ...] = (256, 256, 256)
    dtype: str = "float32"
    momentum: float = 0.9
    axis_name: str | None = None

    @property
    def stride(self) -> int:
        """See `PoseNetwork`."""
        return _STRIDE // 2 ** len(self.channels)

    def smallest_image(self) -> int:
        """See `PoseNetwork`: the smallest maps have two pixels a side."""
        return _STRIDE + 1

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Array:
        """Maps of images `[N, H, W, 3]`.

        Raises:
          UserError: for images that are too small.
        """
        self.check_size(images)
        layers, dtype = Layers(self.dtype, self.momentum, self.axis_name), jnp.dtype(self.dtype)
        blocks = ResNetBlocks(layers, depths=self.depths, width=self.width, name="backbone")
        maps = blocks(images.astype(dtype), train)
        start = functools.partial(nn.initializers.normal, START_DEVIATION)
        for number, channels in enumerate(self.channels):
            double = nn.ConvTranspose(
                channels, (4, 4), (2, 2), "SAME", use_bias=False, dtype=dtype, kernel_init=start(), name=f"deconv{number}"
            )
            maps = nn.relu(layers.batch_norm(train, f"deconv{number}_bn")(double(maps)))
        height, width = (-(-side // self.stride) for side in images.shape[1:3])
        maps = maps[:, :height, :width].astype(jnp.float32)
        return nn.Dense(self.num_keypoints, dtype=jnp.float32, kernel_init=start(), name="maps")(maps)
