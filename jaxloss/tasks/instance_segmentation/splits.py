"""The splits of a task of instance segmentation, placed on the device."""

from collections.abc import Mapping

from jaxloss.core.types import PyTree
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.data.boxes.source import CROWD, IMAGE, VALID, BoxedImages
from jaxloss.tasks.data.instances.arrays import InstanceRows, instance_arrays
from jaxloss.tasks.data.stream import StreamedRows, place_split


def place(splits: Mapping[str, BoxedImages], most_boxes: int, streamed: bool, side: int) -> dict[str, PyTree]:
    """The splits as `Task.data`: those of detection, the `number` of each image and, in training, the `masks` of its objects.

    Args:
      splits: by name.
      most_boxes: that arrays have room for.
      streamed: images and masks of the training split are made when a step needs them.
      side: cells along each side of a mask, see `instance_arrays`.
    """
    placed = {}
    for name, part in splits.items():
        if streamed and name == TRAIN:
            known = part.annotation_arrays(most_boxes)
            resident = {key: known[key] for key in (VALID, CROWD)}
            placed[name] = StreamedRows.create(InstanceRows(part, most_boxes, side), resident)
        else:
            arrays = instance_arrays(part, most_boxes, side if name == TRAIN else None)
            placed[name] = place_split({IMAGE: part.in_memory().images, **arrays}, streamed=False)
    return placed
