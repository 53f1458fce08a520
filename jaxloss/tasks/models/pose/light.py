"""A light encoder and decoder that trains in seconds on a CPU: the proxy network of keypoints."""

import functools

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.models.convolution import convolution
from jaxloss.tasks.models.pose.network import PoseNetwork
from jaxloss.tasks.models.resampling import doubled

# Of the last layer, so that a training begins with maps near 0 (Xiao et al., ECCV 2018, in their code).
START_DEVIATION = 0.001


class LightPose(PoseNetwork):
    """Convolutions that halve the image, and a way back to the maps of one size, joined with those that come from below.

    Maps that are read by a 3x3 convolution with all channels are only those that it halves; the others are depthwise, with a 1x1
    behind. The smallest maps see the whole image, which tells a left paw from a right one. No backbone.

    Attributes:
      num_keypoints: `K`.
      features: channels of the maps of 1/2, 1/4, 1/8, ... of the size of the image.
      output_stride: pixels of an image for one of the maps that come out: 2, 4, 8, ...
      convolution: `patches` or `native`, see `models.convolution`.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and maps are float32.
      momentum: of the running statistics of BatchNorm.
      axis_name: of the device axis over which a batch is divided, see `PoseNetwork`.

    References:
      A. Newell, K. Yang, J. Deng: Stacked Hourglass Networks for Human Pose Estimation, ECCV 2016 (maps of all sizes, joined).
    """

    num_keypoints: int
    features: tuple[int, ...] = (16, 32, 64, 96, 128)
    output_stride: int = 4
    convolution: str = "patches"
    dtype: str = "float32"
    momentum: float = 0.9
    axis_name: str | None = None

    @property
    def stride(self) -> int:
        """See `PoseNetwork`."""
        return self.output_stride

    def smallest_image(self) -> int:
        """See `PoseNetwork`: the smallest maps have two pixels a side."""
        return 2 ** len(self.features) + 1

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Array:
        """Maps of images `[N, H, W, channels]`.

        Raises:
          UserError: for images that are too small, and a stride that none of the maps has.
        """
        strides = [2 ** (level + 1) for level in range(len(self.features))]
        if self.output_stride not in strides:
            raise UserError(f"the output_stride of LightPose is one of {', '.join(map(str, strides))}, not {self.output_stride}")
        self.check_size(images)
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
        for fine in reversed(sizes[strides.index(self.output_stride) : -1]):
            channels = fine.shape[-1]
            # Narrowed before it is doubled: a quarter of the work.
            below = doubled(layer(channels, 1)(maps), *fine.shape[1:3])
            maps = nn.relu(norm()(below + layer(channels, 1)(fine)))
            maps = nn.relu(maps + separable(maps))
        last = nn.Dense(self.num_keypoints, dtype=jnp.float32, kernel_init=nn.initializers.normal(START_DEVIATION), name="maps")
        return last(maps.astype(jnp.float32))
