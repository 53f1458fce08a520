"""Networks of your own for segmentation, as a Linen and as an NNX module. From the repository's root:

    python -m jaxloss.launch --config=configs/autoloss_zero_camvid.py --config.data_dir=DIR --workdir=runs/own_dense_network \\
        --config.task.segmentation.model=examples.own_dense_network:DilatedNetwork --config.mode=train \\
        --config.loss=cross_entropy
"""

import flax.linen as nn
import jax
from flax import nnx


class DilatedNetwork(nn.Module):
    """Convolutions that look further and further, on images of half the size; called with `(images [N, H, W, 3], train)`.

    Gives logits of every pixel, `[N, H, W, num_classes]`, for images of any size: those that are scored may be larger than those
    that are trained on. Where a batch is divided over devices, BatchNorm sees the part of its own.
    """

    num_classes: int
    features: int = 16
    rates: tuple[int, ...] = (1, 2, 4)

    @nn.compact
    def __call__(self, images, train):
        maps = nn.Conv(self.features, (3, 3), strides=2)(images)
        for rate in self.rates:
            norm = nn.BatchNorm(use_running_average=not train, momentum=0.9)
            maps = nn.relu(norm(nn.Conv(self.features, (3, 3), kernel_dilation=rate, use_bias=False)(maps)))
        logits = nn.Conv(self.num_classes, (1, 1))(maps)
        return jax.image.resize(logits, (*images.shape[:3], self.num_classes), "bilinear")


class PixelwiseModel(nnx.Module):
    """Every pixel by itself, as an NNX module: the least that there is to beat."""

    def __init__(self, num_classes: int, features: int = 16, *, rngs: nnx.Rngs):
        self.first = nnx.Linear(3, features, rngs=rngs)
        self.last = nnx.Linear(features, num_classes, rngs=rngs)

    def __call__(self, images):
        return self.last(nnx.relu(self.first(images)))
