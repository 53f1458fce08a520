"""A small FCOS that trains in seconds on a CPU: the proxy network of detection."""

import functools

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.convolution import convolution
from jaxloss.tasks.models.detection.heads import first_biases, shared_heads
from jaxloss.tasks.models.detection.network import DetectionNetwork, DetectionOutputs
from jaxloss.tasks.models.detection.small_pyramid import halving_maps, small_pyramid, strides_of


class TinyFCOS(DetectionNetwork):
    """A backbone of convolutions that halve the image, a pyramid of its last maps, and heads that all levels share.

    As in FCOS, a tower of convolutions with GroupNorm leads to the classes and another to the box, whose branch also tells the
    quality; the distances are `exp(s x)` with a learnt factor `s` for each level; biases begin where every class has the
    probability `start_probability`. The last layers are 1x1.

    Attributes:
      num_classes: without background.
      background: whether it is a class more, the last, which begins near 1.
      features: channels of the maps of 1/2, 1/4, 1/8, ... of the size of the image.
      num_levels: of the pyramid, the last maps; strides 8, 16 and 32 with five maps and three levels.
      channels: of the pyramid and the towers; a multiple of 8.
      depth: convolutions in each tower.
      start_probability: probability of every class at the start (Lin et al., ICCV 2017).
      convolution: `patches` or `native`, see `models.convolution`.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and outputs are float32.
      momentum: of the running statistics of BatchNorm, in the backbone.
      axis_name: of the device axis over which a batch is divided, see `DetectionNetwork`.

    References:
      Z. Tian et al.: FCOS: Fully Convolutional One-Stage Object Detection, ICCV 2019.
    """

    num_classes: int
    background: bool = False
    features: tuple[int, ...] = (16, 32, 64, 96, 128)
    num_levels: int = 3
    channels: int = 48
    depth: int = 1
    start_probability: float = 0.01
    convolution: str = "patches"
    dtype: str = "float32"
    momentum: float = 0.9
    axis_name: str | None = None

    @property
    def strides(self) -> tuple[int, ...]:
        """See `DetectionNetwork`."""
        return strides_of(len(self.features), self.num_levels)

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> DetectionOutputs:
        """Outputs for images `[N, H, W, channels]`.

        Raises:
          UserError: for images that are too small.
        """
        self.check_size(images)
        dtype = jnp.dtype(self.dtype)
        layer = functools.partial(convolution, implementation=self.convolution, use_bias=False, dtype=dtype)
        statistics = {"use_running_average": not train, "momentum": self.momentum, "axis_name": self.axis_name}
        norm = functools.partial(nn.BatchNorm, **statistics, dtype=dtype)
        sizes = halving_maps(images.astype(dtype), self.features, layer, norm)
        levels = small_pyramid(sizes[-self.num_levels :], self.channels, layer, norm)
        # Made once, called at every level: their parameters are shared.
        towers = [[(layer(self.channels), nn.GroupNorm(num_groups=8, dtype=dtype)) for _ in range(self.depth)] for _ in range(2)]
        last = functools.partial(nn.Dense, dtype=jnp.float32, kernel_init=nn.initializers.normal(0.01))
        biases = first_biases(self.num_classes, self.background, self.start_probability)
        heads = last(len(biases), bias_init=nn.initializers.constant(biases)), last(4), last(1)
        factors = self.param("level_factors", nn.initializers.ones, (self.num_levels,))
        return shared_heads(levels, towers, heads, factors)
