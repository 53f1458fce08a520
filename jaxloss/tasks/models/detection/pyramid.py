"""The feature pyramid of one-stage detectors: five levels of one width on the last three stages of a backbone."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array
from jaxloss.tasks.models.detection.top_down import top_down

# Pixels of an image for one of each level: 8, 16 and 32 are the last stages of a residual network.
STRIDES = (8, 16, 32, 64, 128)


class FeaturePyramid(nn.Module):
    """Levels P3 to P7.

    P3 to P5 are the maps of the last three stages, each brought to one width by a 1x1 convolution, with the next coarser one
    added, and smoothed by a 3x3 convolution; P6 is a convolution of P5 with stride 2, P7 one of P6 behind a ReLU.

    Attributes:
      channels: of each level.
      dtype: of the computation; parameters are float32.

    References:
      T.-Y. Lin et al.: Feature Pyramid Networks for Object Detection, CVPR 2017, Section 3.
      T.-Y. Lin et al.: Focal Loss for Dense Object Detection, ICCV 2017, Section 4 (P6 and P7; here on P5, as in FCOS).
    """

    channels: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, stages: Sequence[Array]) -> list[Array]:
        """Five maps `[N, h, w, channels]`, the finest first.

        Args:
          stages: maps `[N, h, w, c]` with strides 8, 16 and 32.
        """
        numbers = range(3, 6)
        lateral = [
            same_convolution(self.channels, 1, dtype=self.dtype, name=f"lateral{number}")(maps)
            for number, maps in zip(numbers, stages, strict=True)
        ]
        levels = [
            same_convolution(self.channels, dtype=self.dtype, name=f"level{number}")(maps)
            for number, maps in zip(numbers, top_down(lateral), strict=True)
        ]
        levels.append(same_convolution(self.channels, stride=2, dtype=self.dtype, name="level6")(levels[-1]))
        levels.append(same_convolution(self.channels, stride=2, dtype=self.dtype, name="level7")(nn.relu(levels[-1])))
        return levels


def same_convolution(
    features: int,
    kernel_size: int = 3,
    stride: int = 1,
    deviation: float | None = None,
    first_bias: np.ndarray | float = 0.0,
    *,
    dtype: str,
    name: str,
) -> nn.Conv:
    """A convolution with a bias and the same number of zeros on all sides, `[N, ceil(H / stride), ceil(W / stride), features]`.

    Args:
      features: channels that come out.
      kernel_size: in pixels, odd.
      stride: in pixels.
      deviation: of the normal distribution of the first weights; None for a uniform one of variance 1 / inputs.
      first_bias: one number, or `[features]`.
      dtype: of the computation.
      name: of the submodule.
    """
    uniform = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")
    return nn.Conv(
        features,
        (kernel_size, kernel_size),
        strides=(stride, stride),
        padding=kernel_size // 2,
        dtype=jnp.dtype(dtype),
        kernel_init=uniform if deviation is None else nn.initializers.normal(deviation),
        bias_init=nn.initializers.constant(first_bias),
        name=name,
    )
