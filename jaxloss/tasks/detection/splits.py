"""The splits of a detection task: loaded, divided, and placed on the device."""

from collections.abc import Callable, Mapping

import numpy as np

from jaxloss.core.types import PyTree
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.data.boxes.load import BOX_SOURCES, load_boxes
from jaxloss.tasks.data.boxes.source import CROWD, IMAGE, VALID, BoxedImages, BoxSource, LazyImages
from jaxloss.tasks.data.image_splits import with_held_out_test
from jaxloss.tasks.data.stream import STREAMED, StreamedRows, place_split
from jaxloss.tasks.detection.common_settings import BoxTaskSettings


def load_source(
    settings: BoxTaskSettings, context: TaskContext, sources: Mapping[str, Callable[..., BoxSource]] = BOX_SOURCES
) -> BoxSource:
    """All images and boxes, with a test set.

    Args:
      settings: of the task.
      context: where data lie.
      sources: how a source is written -> its loader.

    Raises:
      UserError: for data that are absent or broken.
    """
    source = load_boxes(
        settings.source,
        context.data_dir,
        tuple(settings.image_size) if any(settings.image_size) else None,
        settings.source_options,
        download=settings.download,
        fitting=settings.fitting,
        padding_pixel=settings.pixel_mean,
        streamed=settings.training_data == STREAMED,
        sources=sources,
    )
    return with_held_out_test(source, settings.fractions, settings.test_seed, settings.block)


def place(splits: Mapping[str, BoxedImages], most_boxes: int, streamed: bool) -> dict[str, PyTree]:
    """The splits as `Task.data`, see `BoxedImages.arrays`.

    Args:
      splits: by name.
      most_boxes: that arrays have room for.
      streamed: the images of the training split stay where they are, in memory or in their files, and are read ahead of the
        steps; which of them have boxes lies on the device.
    """
    placed = {}
    for name, part in splits.items():
        if streamed and name == TRAIN:
            arrays = part.annotation_arrays(most_boxes)
            resident = {name: arrays[name] for name in (VALID, CROWD)}
            placed[name] = StreamedRows.create(BoxedRows(part.images, arrays), resident)
        else:
            placed[name] = place_split(part.arrays(most_boxes), streamed=False)
    return placed


class BoxedRows:
    """Images that are read when they are asked for, with arrays of their boxes: a `stream.RowSource`."""

    def __init__(self, images: np.ndarray | LazyImages, arrays: Mapping[str, np.ndarray]):
        """`arrays` have a row for each image."""
        self._images, self._arrays = images, dict(arrays)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        return {IMAGE: self._images[row], **{name: array[row] for name, array in self._arrays.items()}}
