"""FCOS with a ResNet-50 and a feature pyramid: the one-stage detector of the papers."""

import functools

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.detection.heads import first_biases, shared_heads
from jaxloss.tasks.models.detection.network import DetectionNetwork, DetectionOutputs
from jaxloss.tasks.models.layers import Layers
from jaxloss.tasks.models.resampling import doubled
from jaxloss.tasks.models.resnet50 import DEPTHS, stage_maps

# Of the pyramid: 8, 16 and 32 are the last stages of the backbone.
STRIDES = (8, 16, 32, 64, 128)


class FCOSResNet50(DetectionNetwork):
    """Levels P3 to P7 of a feature pyramid on ResNet-50, with heads of four convolutions and GroupNorm that all levels share.

    P3 to P5 are the maps of the last three stages, each with the next coarser one added; P6 is a convolution of P5 with stride 2,
    P7 one of P6. The quality stands beside the box, and distances are `exp(s x)` with a learnt factor for each level, as in the
    second version of FCOS. Images are expected as for ImageNet where the backbone holds weights of a file.

    With 91 classes and without the factors and the scales and shifts of BatchNorm these are the 32,269,600 parameters of
    torchvision's `fcos_resnet50_fpn`, which freezes the latter.

    Attributes:
      num_classes: without background.
      background: whether it is a class more, the last, which begins near 1.
      channels: of the pyramid and the towers.
      depth: convolutions in each tower.
      groups: of GroupNorm.
      start_probability: probability of every class at the start.
      frozen_statistics: see `Layers`; for backbones that come trained.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and outputs are float32.
      momentum: of the running statistics of BatchNorm, in the backbone.
      depths: blocks of each stage; ImageNet weights need the default.
      width: channels of the stem; ImageNet weights need the default.
      axis_name: of the device axis over which a batch is divided, see `DetectionNetwork`.

    References:
      Z. Tian et al.: FCOS: Fully Convolutional One-Stage Object Detection, ICCV 2019, Section 3.2.
      T.-Y. Lin et al.: Feature Pyramid Networks for Object Detection, CVPR 2017.
      Y. Wu, K. He: Group Normalization, ECCV 2018 (32 groups).
    """

    num_classes: int
    background: bool = False
    channels: int = 256
    depth: int = 4
    groups: int = 32
    start_probability: float = 0.01
    frozen_statistics: bool = False
    dtype: str = "float32"
    momentum: float = 0.9
    depths: tuple[int, ...] = DEPTHS["resnet50"]
    width: int = 64
    axis_name: str | None = None

    @property
    def strides(self) -> tuple[int, ...]:
        """See `DetectionNetwork`."""
        return STRIDES

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> DetectionOutputs:
        """Outputs for images `[N, H, W, 3]`.

        Raises:
          UserError: for images that are too small.
        """
        self.check_size(images)
        dtype = jnp.dtype(self.dtype)
        layers = Layers(self.dtype, self.momentum, self.axis_name, self.frozen_statistics)
        stages = stage_maps(images.astype(dtype), train, layers, self.depths, self.width)
        towers = [
            [
                (
                    self._layer(f"{name}_tower{number}", deviation=0.01),
                    nn.GroupNorm(self.groups, dtype=dtype, name=f"{name}_norm{number}"),
                )
                for number in range(self.depth)
            ]
            for name in ("class", "box")
        ]
        biases = first_biases(self.num_classes, self.background, self.start_probability)
        last = functools.partial(nn.Conv, kernel_size=(3, 3), dtype=jnp.float32, kernel_init=nn.initializers.normal(0.01))
        classes = last(len(biases), bias_init=nn.initializers.constant(biases), name="classes")
        factors = self.param("level_factors", nn.initializers.ones, (len(STRIDES),))
        return shared_heads(self._pyramid(stages[1:]), towers, (classes, last(4, name="box"), last(1, name="quality")), factors)

    def _pyramid(self, stages: list[Array]) -> list[Array]:
        """P3 to P7 of the maps of the last three stages, the finest first."""
        sums, coarser = [], None
        for number, maps in zip((5, 4, 3), reversed(stages), strict=True):
            own = self._layer(f"lateral{number}", 1)(maps)
            coarser = own if coarser is None else own + doubled(coarser, *own.shape[1:3])
            sums.append(coarser)
        levels = [self._layer(f"pyramid{number}")(maps) for number, maps in zip((3, 4, 5), reversed(sums), strict=True)]
        levels.append(self._layer("pyramid6", stride=2)(levels[-1]))
        levels.append(self._layer("pyramid7", stride=2)(nn.relu(levels[-1])))
        return levels

    def _layer(self, name: str, kernel_size: int = 3, stride: int = 1, deviation: float | None = None) -> nn.Conv:
        """A convolution with a bias and the same number of zeros on all sides."""
        # Uniform, of variance 1 / inputs, in the pyramid.
        initial = (
            nn.initializers.variance_scaling(1.0, "fan_in", "uniform") if deviation is None else nn.initializers.normal(deviation)
        )
        return nn.Conv(
            self.channels,
            (kernel_size, kernel_size),
            strides=(stride, stride),
            padding=kernel_size // 2,
            dtype=jnp.dtype(self.dtype),
            kernel_init=initial,
            name=name,
        )
