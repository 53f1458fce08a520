"""The residual network for ImageNet, cut where other networks branch off, and its embedding network."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.embeddings import EmbeddingNetwork, Embeddings
from jaxloss.tasks.models.layers import Layers, global_mean, max_pool

# Channels that leave a block, in channels of its 3x3 convolution.
EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; the stride is in the 3x3 one, as in torchvision ('v1.5').

    Attributes:
      features: channels of the 3x3 convolution; four times as many leave the block.
      stride: of the block.
      layers: makes the layers.
    """

    features: int
    stride: int
    layers: Layers

    @nn.compact
    def __call__(self, images: Array, train: bool) -> Array:
        """`[N, H, W, C] -> [N, ceil(H / stride), ceil(W / stride), 4 * features]`."""
        layers, features = self.layers, EXPANSION * self.features
        branch = layers.convolution(self.features, name="conv1")(images)
        branch = nn.relu(layers.batch_norm(train, "bn1")(branch))
        branch = layers.convolution(self.features, 3, stride=self.stride, name="conv2")(branch)
        branch = nn.relu(layers.batch_norm(train, "bn2")(branch))
        branch = layers.convolution(features, name="conv3")(branch)
        branch = layers.batch_norm(train, "bn3")(branch)
        shortcut = images
        if images.shape != branch.shape:
            shortcut = layers.convolution(features, stride=self.stride, name="downsample_0")(images)
            shortcut = layers.batch_norm(train, "downsample_1")(shortcut)
        return nn.relu(branch + shortcut)


class ResNetBlocks(nn.Module):
    """The blocks `start` to `stop` of a residual network, counted over all stages; before block 0 comes the stem.

    Attributes:
      layers: makes the layers.
      start: the first block.
      stop: the block after the last, or None for all.
      last_stride: of the first block of the fourth stage: 2 in ImageNet networks, 1 for finer feature maps.
      depths: blocks of each stage.
      width: channels of the stem and of the 3x3 convolutions of the first stage; each further stage has twice as many.

    References:
      K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition, CVPR 2016, Table 1 (50-layer).
    """

    layers: Layers
    start: int = 0
    stop: int | None = None
    last_stride: int = 2
    depths: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64

    @nn.compact
    def __call__(self, images: Array, train: bool) -> Array:
        """Feature maps of images, or of the feature maps that block `start - 1` gave."""
        if self.start == 0:
            images = self.layers.convolution(self.width, 7, stride=2, name="conv1")(images)
            images = max_pool(nn.relu(self.layers.batch_norm(train, "bn1")(images)))
        strides = (1, 2, 2, self.last_stride)
        blocks = [(stage, block) for stage, depth in enumerate(self.depths) for block in range(depth)]
        for stage, block in blocks[self.start : self.stop]:
            stride = strides[stage] if block == 0 else 1
            name = f"layer{stage + 1}_{block}"
            images = Bottleneck(self.width * 2**stage, stride, self.layers, name=name)(images, train)
        return images


class ResNet50(EmbeddingNetwork):
    """ResNet-50 with a mean over space: one head of 2048 numbers.

    Attributes:
      last_stride: of the fourth stage; 1 doubles the height and width of the last feature maps.
      bnneck: BatchNorm without a shift behind the mean. What comes before it is for a triplet loss, what leaves it for the
        classifier and for retrieval.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and embeddings are float32.
      momentum: of the running statistics of BatchNorm.
      depths: blocks of each stage; ImageNet weights need the default.
      width: channels of the stem; ImageNet weights need the default.

    References:
      H. Luo, Y. Gu, X. Liao, S. Lai, W. Jiang: Bag of Tricks and A Strong Baseline for Deep Person Re-identification, CVPR
      Workshops 2019 (last stride, BNNeck).
    """

    last_stride: int = 1
    bnneck: bool = True
    dtype: Any = "float32"
    momentum: float = 0.9
    depths: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Embeddings:
        """`heads [N, 1, 2048]`, `feature [N, 2048]`, with `bnneck` also `metric [N, 1, 2048]`, of images `[N, H, W, 3]`."""
        layers = Layers(self.dtype, self.momentum)
        backbone = ResNetBlocks(layers, last_stride=self.last_stride, depths=self.depths, width=self.width, name="backbone")
        pooled = global_mean(backbone(images.astype(jnp.dtype(self.dtype)), train))
        if not self.bnneck:
            return Embeddings(heads=pooled[:, None], feature=pooled)
        feature = Layers(momentum=self.momentum).batch_norm(train, "bnneck", use_bias=False)(pooled)
        return Embeddings(heads=feature[:, None], feature=feature, metric=pooled[:, None])
