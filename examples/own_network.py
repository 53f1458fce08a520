"""Networks of your own, with BatchNorm, as a Linen and as an NNX module. From the repository's root:

    python -m jaxloss.launch --config=configs/quickstart.py --workdir=runs/own_network \\
        --config.task.classification.model=examples.own_network:BottleneckNetwork \\
        --config.task.classification.model_options.features=24
"""

import flax.linen as nn
from flax import nnx


class BottleneckNetwork(nn.Module):
    """A Linen module is called with `(images [N, H, W, channels], train)` and gives logits `[N, num_classes]`."""

    num_classes: int
    features: int = 32

    @nn.compact
    def __call__(self, images, train):
        hidden = nn.Dense(self.features)(images.reshape(len(images), -1))
        hidden = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(hidden))
        return nn.Dense(self.num_classes)(hidden)


class BottleneckModel(nnx.Module):
    """The same as an NNX module: it is made with `rngs`, and `train()` and `eval()` tell its layers what they are to do."""

    def __init__(self, num_classes: int, num_pixels: int = 64, features: int = 32, *, rngs: nnx.Rngs):
        self.first = nnx.Linear(num_pixels, features, rngs=rngs)
        self.norm = nnx.BatchNorm(features, momentum=0.9, rngs=rngs)
        self.last = nnx.Linear(features, num_classes, rngs=rngs)

    def __call__(self, images):
        hidden = self.first(images.reshape(len(images), -1))
        return self.last(nnx.relu(self.norm(hidden)))
