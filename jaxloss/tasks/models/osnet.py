"""The Omni-Scale Network: residual blocks whose streams see 3x3 to 9x9 pixels, weighed by a gate."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.errors import unknown
from jaxloss.core.types import Array
from jaxloss.tasks.models.embeddings import EmbeddingNetwork, Embeddings
from jaxloss.tasks.models.layers import ConvNorm, Layers, global_mean, max_pool
from jaxloss.tasks.models.small_cnn import mean_pool

# Where a block of each variant normalises instances: not at all, behind the sum with the shortcut, or inside the residual.
NONE, BEHIND, INSIDE = "none", "behind", "inside"
# Variant -> the blocks of the three stages. IBN and AIN also normalise instances in the stem.
VARIANTS = {
    "plain": ((NONE, NONE), (NONE, NONE), (NONE, NONE)),
    "ibn": ((BEHIND, BEHIND), (NONE, NONE), (NONE, NONE)),
    "ain": ((INSIDE, INSIDE), (NONE, INSIDE), (INSIDE, NONE)),
}
STREAMS = 4
# Channels that leave a block, in channels of its streams; channels of a gate, in those of its hidden layer.
EXPANSION, GATE_REDUCTION = 4, 16


class LightConv(nn.Module):
    """A 3x3 convolution in two factors, 1x1 and depthwise 3x3, with BatchNorm and ReLU; keeps the number of channels."""

    layers: Layers

    @nn.compact
    def __call__(self, images: Array, train: bool) -> Array:
        features = images.shape[-1]
        images = self.layers.convolution(features, name="conv1")(images)
        images = self.layers.convolution(features, 3, groups=features, name="conv2")(images)
        return nn.relu(self.layers.batch_norm(train, "bn")(images))


class Gate(nn.Module):
    """Weighs each channel by a number in [0, 1], computed from the channels' means by two small layers."""

    layers: Layers

    @nn.compact
    def __call__(self, images: Array) -> Array:
        features = images.shape[-1]
        means = images.mean(axis=(1, 2), keepdims=True)
        hidden = nn.relu(self.layers.convolution(features // GATE_REDUCTION, bias=True, name="fc1")(means))
        return images * nn.sigmoid(self.layers.convolution(features, bias=True, name="fc2")(hidden))


class OmniScaleBlock(nn.Module):
    """Four streams of one to four light convolutions, weighed by one gate and summed, beside a shortcut.

    Attributes:
      features: channels that leave the block.
      layers: makes the layers.
      instance_norm: `none`, `behind` the sum with the shortcut, or `inside` the residual, in the place of BatchNorm.
      ain_names: whether the streams are named as in the authors' AIN network.
    """

    features: int
    layers: Layers
    instance_norm: str = NONE
    ain_names: bool = False

    @nn.compact
    def __call__(self, images: Array, train: bool) -> Array:
        """`[N, H, W, C] -> [N, H, W, features]`."""
        layers = self.layers
        hidden = ConvNorm(self.features // EXPANSION, layers, name="conv1")(images, train)
        gate = Gate(layers, name="gate")
        scales = []
        for stream in range(STREAMS):
            scale = hidden
            for depth in range(stream + 1):
                scale = LightConv(layers, name=self.stream_name(stream, depth))(scale, train)
            scales.append(gate(scale))
        norm = "none" if self.instance_norm == INSIDE else "batch"
        residual = ConvNorm(self.features, layers, norm=norm, activation=False, name="conv3")(sum(scales), train)
        if self.instance_norm == INSIDE:
            residual = layers.instance_norm("IN")(residual)
        shortcut = images
        if images.shape[-1] != self.features:
            shortcut = ConvNorm(self.features, layers, activation=False, name="downsample")(images, train)
        total = residual + shortcut
        return nn.relu(layers.instance_norm("IN")(total) if self.instance_norm == BEHIND else total)

    def stream_name(self, stream: int, depth: int) -> str:
        """What the authors call the light convolution number `depth` of a stream."""
        if self.ain_names:
            return f"conv2_{stream}_layers_{depth}"
        letter = "abcd"[stream]
        return f"conv2{letter}_{depth}" if stream else f"conv2{letter}"


class OSNetBackbone(nn.Module):
    """Stem, three stages of two blocks (the first two halve the image), a mean over space and a dense layer.

    The attributes are those of `OSNet`.
    """

    variant: str
    channels: tuple[int, ...]
    embedding_size: int
    layers: Layers

    @nn.compact
    def __call__(self, images: Array, train: bool) -> Array:
        """Embeddings `[N, embedding_size]` of images `[N, H, W, 3]`, in float32."""
        layers, ain = self.layers, self.variant == "ain"
        norm = "batch" if self.variant == "plain" else "instance"
        maps = max_pool(ConvNorm(self.channels[0], layers, 7, stride=2, norm=norm, name="conv1")(images, train))
        for stage, places in enumerate(VARIANTS[self.variant]):
            features, last = self.channels[stage + 1], stage == len(VARIANTS[self.variant]) - 1
            for block, place in enumerate(places):
                name = f"conv{stage + 2}_{block}"
                maps = OmniScaleBlock(features, layers, place, ain_names=ain, name=name)(maps, train)
            if not last:
                name = f"pool{stage + 2}_0" if ain else f"conv{stage + 2}_{len(places)}_0"
                maps = mean_pool(ConvNorm(features, layers, name=name)(maps, train))
        pooled = global_mean(ConvNorm(self.channels[-1], layers, name="conv5")(maps, train))
        embedding = nn.Dense(self.embedding_size, kernel_init=nn.initializers.normal(0.01), name="fc_0")(pooled)
        return nn.relu(Layers(momentum=layers.momentum).batch_norm(train, "fc_1")(embedding))


class OSNet(EmbeddingNetwork):
    """OSNet x1.0: one head of 512 numbers, for classifier and retrieval alike.

    The dense layer in front of the head belongs to the backbone: the authors' ImageNet weights include it.

    Attributes:
      variant: `plain`; `ibn` with instance normalisation in the stem and behind the blocks of the first stage; `ain` with it in
        the stem and inside the residuals of four blocks that the authors found by a search.
      channels: of the stem and the three stages.
      embedding_size: of the head.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and embeddings are float32.
      momentum: of the running statistics of BatchNorm.

    References:
      K. Zhou, Y. Yang, A. Cavallaro, T. Xiang: Omni-Scale Feature Learning for Person Re-Identification, ICCV 2019.
      K. Zhou, Y. Yang, A. Cavallaro, T. Xiang: Learning Generalisable Omni-Scale Representations for Person Re-Identification,
      IEEE TPAMI 2021 (IBN and AIN).
    """

    variant: str = "plain"
    channels: tuple[int, ...] = (64, 256, 384, 512)
    embedding_size: int = 512
    dtype: Any = "float32"
    momentum: float = 0.9

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Embeddings:
        """`heads [N, 1, 512]` and `feature [N, 512]` of images `[N, H, W, 3]`.

        Raises:
          UserError: for an unknown variant.
        """
        if self.variant not in VARIANTS:
            raise unknown("OSNet variant", self.variant, VARIANTS)
        layers = Layers(self.dtype, self.momentum)
        backbone = OSNetBackbone(self.variant, self.channels, self.embedding_size, layers, name="backbone")
        feature = backbone(images.astype(jnp.dtype(self.dtype)), train)
        return Embeddings(heads=feature[:, None], feature=feature)
