"""A convolutional embedding network that trains in seconds on a CPU: the proxy for retrieval."""

import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.models.convolution import convolution
from jaxloss.tasks.models.embeddings import EmbeddingNetwork, Embeddings


class EmbeddingCNN(EmbeddingNetwork):
    """3x3 convolutions that halve the image, and a dense layer on all that is left: one head, and no backbone.

    The dense layer sees where things are, so the images at test time have the size of those in training. A mean over space
    instead would serve for any size, but on Omniglot it took twice the time (one more convolution) to be as good.

    Attributes:
      features: channels of each convolution.
      embedding_size: `D`.
      batch_norm: BatchNorm behind each convolution, and one without a shift behind the dense layer.
      convolution: `patches` or `native`, see `models.convolution`.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and embeddings are float32.
      momentum: of the running statistics of BatchNorm.
    """

    features: tuple[int, ...] = (32, 64, 64)
    embedding_size: int = 128
    batch_norm: bool = True
    convolution: str = "patches"
    dtype: Any = "float32"
    momentum: float = 0.9

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Embeddings:
        """`heads [N, 1, D]` and `feature [N, D]` of images `[N, H, W, C]`."""
        dtype = jnp.dtype(self.dtype)
        layer = functools.partial(convolution, stride=2, implementation=self.convolution, dtype=dtype)
        norm = functools.partial(nn.BatchNorm, use_running_average=not train, momentum=self.momentum)
        hidden = images
        for width in self.features:
            hidden = layer(width, use_bias=not self.batch_norm)(hidden)
            hidden = nn.relu(norm(dtype=dtype)(hidden) if self.batch_norm else hidden)
        dense = nn.Dense(self.embedding_size, use_bias=not self.batch_norm, dtype=dtype, name="embedding")
        feature = dense(hidden.reshape(len(hidden), -1)).astype(jnp.float32)
        if self.batch_norm:
            feature = norm(use_bias=False, name="embedding_norm")(feature)
        return Embeddings(heads=feature[:, None], feature=feature)
