"""A small backbone and its pyramid of maps, which networks that find objects share."""

from collections.abc import Callable, Sequence

import flax.linen as nn

from jaxloss.core.types import Array
from jaxloss.tasks.models.detection.top_down import top_down

# Makes a layer: `(channels, kernel size, stride, groups) -> convolution`, and `() -> normalisation`.
MakeLayer = Callable[..., nn.Module]


def strides_of(num_maps: int, num_levels: int) -> tuple[int, ...]:
    """Pixels between neighbours on the last levels of maps that are 1/2, 1/4, 1/8, ... of the size of the image."""
    return tuple(2 ** (level + 1) for level in range(num_maps))[-num_levels:]


def halving_maps(images: Array, features: Sequence[int], layer: MakeLayer, norm: MakeLayer) -> list[Array]:
    """Maps of 1/2, 1/4, 1/8, ... of the size of images `[N, H, W, C]`, with so many channels; for calls inside a module."""
    maps, sizes = images, []
    for level, channels in enumerate(features):
        maps = nn.relu(norm()(layer(channels, stride=2)(maps)))
        if level > 0:
            # Depthwise, with a 1x1 behind: depth that costs little.
            maps = nn.relu(maps + norm()(layer(channels, 1)(layer(channels, groups=channels)(maps))))
        sizes.append(maps)
    return sizes


def small_pyramid(sizes: Sequence[Array], channels: int, layer: MakeLayer, norm: MakeLayer) -> list[Array]:
    """Maps of one width, each with what lies below added, the finest first; for calls inside a module."""
    # The coarsest first, in whose order their parameters are called.
    lateral = [layer(channels, 1)(maps) for maps in reversed(sizes)][::-1]
    return [nn.relu(norm()(maps)) for maps in reversed(top_down(lateral))][::-1]
