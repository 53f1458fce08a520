"""The heads of FCOS: towers and last layers that all levels of a pyramid share."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array
from jaxloss.tasks.models.detection.network import DetectionOutputs

# exp of more is wider than any image, and a step that leads there would end in an overflow.
_LARGEST = 6.0

Layer = Callable[[Array], Array]


def first_biases(num_classes: int, background: bool, probability: float) -> np.ndarray:
    """Biases of the classes at the start, float32 `[C]`, at which each class has a probability (Lin et al., ICCV 2017).

    With background, whose bias is 0, a softmax gives nearly the same as sigmoids do.

    Args:
      num_classes: without background.
      background: whether it is a class more, the last.
      probability: of every class, 0 to 1.
    """
    start = math.log((1 - probability) / probability)
    biases = np.full(num_classes + background, -start, np.float32)
    biases[num_classes:] = 0
    return biases


def shared_heads(
    levels: Sequence[Array], towers: Sequence[Sequence[tuple[Layer, Layer]]], heads: Sequence[Layer], factors: Array
) -> DetectionOutputs:
    """The outputs of all levels.

    One tower leads to the classes, the other to the box and its quality; distances are `exp(s x)` with a factor `s` of the level.

    Args:
      levels: maps `[N, H, W, C]`, the finest first.
      towers: of classes and of boxes: convolutions and what normalises behind each, `[N, H, W, C] -> [N, H, W, C]`.
      heads: of classes, box and quality: `[N, H, W, C] -> [N, H, W, outputs]` in float32.
      factors: `[levels]`.

    References:
      Z. Tian et al.: FCOS: Fully Convolutional One-Stage Object Detection, ICCV 2019, Sections 3.1 and 3.2.
    """
    classes, box, quality = heads

    def told(head: Layer, maps: Array) -> Array:
        """`[N, L, outputs]`."""
        found = head(maps)
        return found.reshape(len(maps), -1, found.shape[-1])

    found = []
    for level, maps in enumerate(levels):
        features = []
        for tower in towers:
            through = maps
            for convolve, normalise in tower:
                through = nn.relu(normalise(convolve(through)))
            features.append(through.astype(jnp.float32))
        distances = jnp.exp(jnp.minimum(factors[level] * told(box, features[1]), _LARGEST))
        found.append((told(classes, features[0]), distances, told(quality, features[1])[..., 0]))
    return DetectionOutputs(*(jnp.concatenate(one, axis=1) for one in zip(*found, strict=True)))
