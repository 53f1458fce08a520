"""FCOS with a ResNet-50 and a feature pyramid: the one-stage detector of the papers."""

import functools

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.detection.heads import first_biases, shared_heads
from jaxloss.tasks.models.detection.network import DetectionNetwork, DetectionOutputs
from jaxloss.tasks.models.detection.pyramid import STRIDES, FeaturePyramid, same_convolution
from jaxloss.tasks.models.layers import Layers
from jaxloss.tasks.models.resnet50 import DEPTHS, stage_maps


class FCOSResNet50(DetectionNetwork):
    """A feature pyramid on ResNet-50, with heads of four convolutions and GroupNorm that all levels share.

    The quality stands beside the box, and distances are `exp(s x)` with a learnt factor for each level, as in the
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
        layers = Layers(self.dtype, self.momentum, self.axis_name, self.frozen_statistics)
        stages = stage_maps(images.astype(self.dtype), train, layers, self.depths, self.width)
        levels = FeaturePyramid(self.channels, self.dtype, name="pyramid")(stages[1:])
        towers = [self._tower("class"), self._tower("box")]
        biases = first_biases(self.num_classes, self.background, self.start_probability)
        # In float32, whatever the rest computes in.
        last = functools.partial(same_convolution, deviation=0.01, dtype="float32")
        classes = last(len(biases), first_bias=biases, name="classes")
        factors = self.param("level_factors", nn.initializers.ones, (len(STRIDES),))
        return shared_heads(levels, towers, (classes, last(4, name="box"), last(1, name="quality")), factors)

    def _tower(self, name: str) -> list[tuple[nn.Conv, nn.GroupNorm]]:
        """Convolutions, and what normalises behind each."""
        return [
            (
                same_convolution(self.channels, deviation=0.01, dtype=self.dtype, name=f"{name}_tower{number}"),
                nn.GroupNorm(self.groups, dtype=jnp.dtype(self.dtype), name=f"{name}_norm{number}"),
            )
            for number in range(self.depth)
        ]
