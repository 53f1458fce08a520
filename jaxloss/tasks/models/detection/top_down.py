"""The way down of a feature pyramid: what every network that finds objects at several sizes does with its maps."""

from collections.abc import Sequence

from jaxloss.core.types import Array
from jaxloss.tasks.models.resampling import doubled


def top_down(maps: Sequence[Array]) -> list[Array]:
    """Each map with all coarser ones added, enlarged to its size; the finest first.

    Args:
      maps: `[N, h, w, C]` of one width, the finest first, each about twice as large as the next.

    References:
      T.-Y. Lin et al.: Feature Pyramid Networks for Object Detection, CVPR 2017, Section 3.
    """
    sums: list[Array] = []
    for own in reversed(maps):
        sums.append(own if not sums else own + doubled(sums[-1], *own.shape[1:3]))
    return sums[::-1]
