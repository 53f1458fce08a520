"""The splits of a detection task: loaded, divided, and placed on the device."""

from collections.abc import Mapping

from jaxloss.core.types import PyTree
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.data.boxes.load import load_boxes
from jaxloss.tasks.data.boxes.source import BoxedImages, BoxSource
from jaxloss.tasks.data.image_splits import split_images, with_held_out_test
from jaxloss.tasks.data.stream import place_split
from jaxloss.tasks.detection.common_settings import BoxTaskSettings


def load_source(settings: BoxTaskSettings, context: TaskContext) -> BoxSource:
    """All images and boxes, with a test set.

    Raises:
      UserError: for data that are absent or broken.
    """
    size = tuple(settings.image_size) if any(settings.image_size) else None
    source = load_boxes(settings.source, context.data_dir, size, settings.source_options)
    return with_held_out_test(source, settings.fractions, settings.test_seed, settings.block)


def divide(source: BoxSource, settings: BoxTaskSettings, division: int) -> Mapping[str, BoxedImages]:
    """The splits of one division of the data.

    Raises:
      UserError: see `split_images`.
    """
    limits = tuple(limit or None for limit in (settings.train_limit, settings.search_eval_limit, settings.test_limit))
    return split_images(source, settings.fractions, division, limits, settings.block)


def place(splits: Mapping[str, BoxedImages], most_boxes: int) -> dict[str, PyTree]:
    """The splits as `Task.data`, see `BoxedImages.arrays`."""
    return {name: place_split(part.arrays(most_boxes), streamed=False) for name, part in splits.items()}
