"""The Multiple Granularity Network: a residual network with a global branch and two branches that look at stripes."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.models.embeddings import EmbeddingNetwork, Embeddings
from jaxloss.tasks.models.layers import Layers
from jaxloss.tasks.models.resnet50 import ResNetBlocks

# Branch -> its stripes, from coarse to fine. Only the branch of one stripe halves its feature maps in the fourth stage.
BRANCHES = {"global": 1, "part2": 2, "part3": 3}


def max_of_stripes(images: Array, stripes: int) -> Array:
    """Maxima of horizontal stripes of equal height, `[N, H, W, C] -> [N, stripes, C]`.

    Raises:
      UserError: where the height cannot be divided.
    """
    n, height, width, channels = images.shape
    if height % stripes:
        raise UserError(
            f"MGN divides feature maps of {height} rows into {stripes} stripes: the height of the images must be a multiple of 96"
        )
    return images.reshape(n, stripes, height // stripes * width, channels).max(axis=2)


class Reduction(nn.Module):
    """A dense layer, BatchNorm and ReLU, `[N, C] -> [N, features]`."""

    features: int
    layers: Layers

    @nn.compact
    def __call__(self, pooled: Array, train: bool) -> Array:
        dense = nn.Dense(self.features, use_bias=False, dtype=pooled.dtype, kernel_init=nn.initializers.he_normal(), name="dense")
        return nn.relu(self.layers.batch_norm(train, "bn")(dense(pooled)))


class MGN(EmbeddingNetwork):
    """Three copies of the later part of ResNet-50 behind a common trunk: 8 heads of 256, of which the first 3 are also `metric`.

    The heads are: the whole image in each of the three branches, two stripes, three stripes. Each is a global maximum, reduced
    to 256 numbers. The paper classifies the three whole ones before their reduction, from 2048 numbers; here all heads have one
    width, as in the reproductions.

    Attributes:
      embedding_size: of each head.
      dtype: of the computation, for example `bfloat16`; statistics, parameters and embeddings are float32.
      momentum: of the running statistics of BatchNorm.
      depths: blocks of each stage; ImageNet weights need the default.
      width: channels of the stem; ImageNet weights need the default.

    References:
      G. Wang, Y. Yuan, X. Chen, J. Li, X. Zhou: Learning Discriminative Features with Multiple Granularities for Person
      Re-Identification, ACM Multimedia 2018, section 3.
    """

    embedding_size: int = 256
    dtype: Any = "float32"
    momentum: float = 0.9
    depths: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Embeddings:
        """`heads [N, 8, 256]`, `feature [N, 2048]`, `metric [N, 3, 256]` of images `[N, H, W, 3]`.

        Raises:
          UserError: if the images cannot be divided into stripes.
        """
        layers = Layers(self.dtype, self.momentum)
        shared = {"layers": layers, "depths": self.depths, "width": self.width}
        # The trunk ends behind the first block of the third stage.
        fork = self.depths[0] + self.depths[1] + 1
        trunk = ResNetBlocks(**shared, stop=fork, name="backbone")(images.astype(jnp.dtype(self.dtype)), train)
        whole, parts = [], []
        for branch, stripes in BRANCHES.items():
            last_stride = 2 if stripes == 1 else 1
            blocks = ResNetBlocks(**shared, start=fork, last_stride=last_stride, name=f"backbone_{branch}")
            maps = blocks(trunk, train).astype(jnp.float32)
            whole.append((branch, max_of_stripes(maps, 1)[:, 0]))
            if stripes > 1:
                pooled = max_of_stripes(maps, stripes)
                parts += [(f"{branch}_{index}", pooled[:, index]) for index in range(stripes)]
        # float32 from here on: the reductions are a small part of the work.
        exact = Layers(momentum=self.momentum)
        reduced = [
            Reduction(self.embedding_size, exact, name=f"reduction_{name}")(pooled, train) for name, pooled in whole + parts
        ]
        heads = jnp.stack(reduced, axis=1)
        return Embeddings(heads=heads, feature=heads.reshape(len(heads), -1), metric=heads[:, : len(whole)])
