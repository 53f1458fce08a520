"""The splits of a pose task: loaded, divided, and placed on the device."""

from collections.abc import Mapping

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.types import PyTree
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.data.image_splits import with_held_out_test
from jaxloss.tasks.data.keypoints.load import load_keypoints
from jaxloss.tasks.data.keypoints.source import AREA, VISIBLE, KeypointImages, KeypointSource
from jaxloss.tasks.data.stream import place_split
from jaxloss.tasks.pose.measures import ANNOTATED
from jaxloss.tasks.pose.settings import SECTION, PoseSettings


def load_source(settings: PoseSettings, context: TaskContext) -> KeypointSource:
    """All images and keypoints, with a test set.

    Raises:
      UserError: for data that are absent or broken, for images without a visible keypoint, and for areas that are asked for
        where nobody says them.
    """
    size = tuple(settings.image_size) if any(settings.image_size) else None
    source = load_keypoints(settings.source, context.data_dir, size, settings.source_options)
    if settings.oks_area == ANNOTATED and np.isnan(source.train.examples[AREA]).any():
        raise UserError(f"{SECTION}.oks_area=annotated needs areas, and {settings.source} has none: set it to extent")
    source = with_held_out_test(source, settings.fractions, settings.test_seed, settings.block)
    for name, part in (("training", source.train), ("test", source.test)):
        if len(part) and not part.examples[VISIBLE].any():
            raise UserError(f"{settings.source}: no keypoint of the {name} images is visible")
    return source


def place(splits: Mapping[str, KeypointImages]) -> dict[str, PyTree]:
    """The splits as `Task.data`, see `KeypointImages`."""
    # Nobody's area is looked at where it is not known, but a NaN is none that a task may hold.
    return {
        name: place_split({**part.examples, AREA: np.nan_to_num(part.examples[AREA], nan=1.0)}, streamed=False)
        for name, part in splits.items()
    }
