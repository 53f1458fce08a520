"""The residual network for ImageNet, cut where other networks branch off, and its embedding network."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.models.embeddings import EmbeddingNetwork, Embeddings
from jaxloss.tasks.models.layers import Layers, global_mean, max_pool

# Channels that leave a block, in channels of its 3x3 convolution.
EXPANSION = 4
# Network -> blocks of each stage.
DEPTHS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
# Pixels of an image for one of the last feature maps.
OUTPUT_STRIDES = (8, 16, 32)
# Pixels of an image for one behind the stem.
_STEM_STRIDE = 4


@dataclasses.dataclass(frozen=True)
class Stage:
    """How far apart the pixels are that a stage of blocks computes, and those that it reads.

    Attributes:
      stride: of its first block.
      first_dilation: of the 3x3 convolution of its first block.
      dilation: of those of its other blocks.
    """

    stride: int
    first_dilation: int
    dilation: int


def stages(output_stride: int, last_stride: int = 2) -> tuple[Stage, ...]:
    """The four stages of a network whose last feature maps are `output_stride` times smaller than the image.

    Where a stride would exceed that it is 1, and all later convolutions are dilated by what it was: each then reads the pixels
    that it would have read. The first block of such a stage is not yet, as in torchvision and timm.

    Args:
      output_stride: 8, 16 or 32.
      last_stride: that the fourth stage has where nothing is dilated.

    Raises:
      UserError: for another output stride.

    References:
      L.-C. Chen, G. Papandreou, F. Schroff, H. Adam: Rethinking Atrous Convolution for Semantic Image Segmentation,
      arXiv:1706.05587, section 3.1 (without the multi-grid of its section 3.2).
    """
    if output_stride not in OUTPUT_STRIDES:
        raise UserError(f"the output stride of a residual network is one of {OUTPUT_STRIDES}, not {output_stride}")
    reached, dilation, made = _STEM_STRIDE, 1, []
    for stride in (1, 2, 2, last_stride):
        if reached * stride > output_stride:
            made.append(Stage(1, dilation, dilation * stride))
            dilation *= stride
        else:
            made.append(Stage(stride, dilation, dilation))
            reached *= stride
    return tuple(made)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; the stride is in the 3x3 one, as in torchvision ('v1.5').

    Attributes:
      features: channels of the 3x3 convolution; four times as many leave the block.
      stride: of the block.
      layers: makes the layers.
      dilation: of the 3x3 convolution.
    """

    features: int
    stride: int
    layers: Layers
    dilation: int = 1

    @nn.compact
    def __call__(self, images: Array, train: bool) -> Array:
        """`[N, H, W, C] -> [N, ceil(H / stride), ceil(W / stride), 4 * features]`."""
        layers, features = self.layers, EXPANSION * self.features
        branch = layers.convolution(self.features, name="conv1")(images)
        branch = nn.relu(layers.batch_norm(train, "bn1")(branch))
        branch = layers.convolution(self.features, 3, stride=self.stride, dilation=self.dilation, name="conv2")(branch)
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
      output_stride: pixels of an image for one of the last feature maps: 32 in ImageNet networks, 16 or 8 by dilation.
      depths: blocks of each stage.
      width: channels of the stem and of the 3x3 convolutions of the first stage; each further stage has twice as many.

    References:
      K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition, CVPR 2016, Table 1 (50-layer,
      101-layer).
    """

    layers: Layers
    start: int = 0
    stop: int | None = None
    last_stride: int = 2
    output_stride: int = 32
    depths: tuple[int, ...] = DEPTHS["resnet50"]
    width: int = 64

    @nn.compact
    def __call__(self, images: Array, train: bool) -> Array:
        """Feature maps of images, or of the feature maps that block `start - 1` gave."""
        if self.start == 0:
            images = self.layers.convolution(self.width, 7, stride=2, name="conv1")(images)
            images = max_pool(nn.relu(self.layers.batch_norm(train, "bn1")(images)))
        made_of = stages(self.output_stride, self.last_stride)
        blocks = [(stage, block) for stage, depth in enumerate(self.depths) for block in range(depth)]
        for stage, block in blocks[self.start : self.stop]:
            first, name = block == 0, f"layer{stage + 1}_{block}"
            stride = made_of[stage].stride if first else 1
            dilation = made_of[stage].first_dilation if first else made_of[stage].dilation
            images = Bottleneck(self.width * 2**stage, stride, self.layers, dilation, name=name)(images, train)
        return images


def stage_maps(
    images: Array, train: bool, layers: Layers, depths: Sequence[int], width: int, output_stride: int = 32
) -> list[Array]:
    """The feature maps of the four stages, for calls inside the `__call__` of a network with the stages as its backbone.

    Each is a submodule `backbone_stage...` of the network: ImageNet weights reach all of them from one file.

    Args:
      images: `[N, H, W, 3]`, in the type of the computation.
      train: whether BatchNorm uses the batch.
      layers: makes the layers.
      depths: blocks of each stage, see `DEPTHS`.
      width: channels of the stem.
      output_stride: see `stages`.

    Returns:
      `[N, ceil(H / s), ceil(W / s), 4 * width * 2^stage]` with s = 4, 8, 16, 32, at most `output_stride`.
    """
    maps, found = images, []
    for stage, (start, stop) in enumerate(itertools.pairwise((0, *itertools.accumulate(depths))), 1):
        blocks = ResNetBlocks(
            layers, start, stop, output_stride=output_stride, depths=tuple(depths), width=width, name=f"backbone_stage{stage}"
        )
        maps = blocks(maps, train)
        found.append(maps)
    return found


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
    depths: tuple[int, ...] = DEPTHS["resnet50"]
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
