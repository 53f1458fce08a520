"""The residual networks for CIFAR, with the paper's parameter-free shortcuts."""

import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.models.convolution import convolution
from jaxloss.tasks.models.head import Head


def shortcut(images: Array, features: int, stride: int) -> Array:
    """Option A of the paper: every `stride`-th pixel, with channels of zeros behind; it has no parameters."""
    strided = images[:, ::stride, ::stride]
    return jnp.pad(strided, ((0, 0), (0, 0), (0, 0), (0, features - images.shape[-1])))


class ResNet(nn.Module):
    """A 3x3 stem, three stages of residual blocks (the second and third halve the image), a mean over space, a dense layer.

    Attributes:
      num_classes: `C`.
      depth: 6n + 2 layers, n blocks of two convolutions in each stage.
      features: channels of the three stages.
      convolution: `native` or `patches`, see `models.convolution`.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and logits are float32.
      momentum: of the running statistics of BatchNorm.

    References:
      K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2.
    """

    num_classes: int
    depth: int = 20
    features: tuple[int, ...] = (16, 32, 64)
    convolution: str = "native"
    dtype: Any = "float32"
    momentum: float = 0.9

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Array:
        """Logits `[N, C]` of images `[N, H, W, channels]`; with `train` BatchNorm uses the batch and updates `batch_stats`."""
        if self.depth < 8 or self.depth % 6 != 2:
            raise UserError(f"a residual network for CIFAR has 6n + 2 layers (8, 14, 20, ...), not {self.depth}")
        dtype = jnp.dtype(self.dtype)
        layer = functools.partial(convolution, implementation=self.convolution, use_bias=False, dtype=dtype)
        norm = functools.partial(nn.BatchNorm, use_running_average=not train, momentum=self.momentum, dtype=dtype)

        hidden = nn.relu(norm()(layer(self.features[0])(images)))
        for stage, width in enumerate(self.features):
            for block in range((self.depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                branch = nn.relu(norm()(layer(width, stride=stride)(hidden)))
                branch = norm()(layer(width)(branch))
                hidden = nn.relu(branch + shortcut(hidden, width, stride))
        return Head(self.num_classes)(hidden.mean(axis=(1, 2)))


ResNet20 = functools.partial(ResNet, depth=20)
