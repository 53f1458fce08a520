"""Where the arrays of images with masks lie: on the device, or read ahead of the steps."""

from collections.abc import Mapping

from jaxloss.core.types import PyTree
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.data.masks.source import MaskedImages
from jaxloss.tasks.data.stream import StreamedRows, place_split


def place_masks(splits: Mapping[str, MaskedImages], streamed: bool) -> dict[str, PyTree]:
    """The splits as `Task.data`: `image` uint8 `[N, H, W, 3]` and `mask` uint8 `[N, H, W]`, on the device.

    Args:
      splits: by name.
      streamed: the training split stays where it is, in memory or in its files, and is read ahead of the steps.
    """
    placed = {}
    for name, part in splits.items():
        if streamed and name == TRAIN:
            placed[name] = StreamedRows.create(part.rows)
        else:
            placed[name] = place_split(part.rows.arrays(), streamed=False)
    return placed
