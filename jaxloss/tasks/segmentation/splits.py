"""The splits of a segmentation task: loaded, divided, and placed with the class frequencies of what is trained on."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import PyTree
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.data.image_splits import with_held_out_test
from jaxloss.tasks.data.masks.load import load_masks
from jaxloss.tasks.data.masks.place import place_masks
from jaxloss.tasks.data.masks.source import MaskedImages, MaskSource
from jaxloss.tasks.data.stream import STREAMED, RowsWithConstants, StreamedRows
from jaxloss.tasks.segmentation.settings import SegmentationSettings

PRIOR = "prior"


def load_source(settings: SegmentationSettings, context: TaskContext) -> MaskSource:
    """All images and masks, with a test set.

    Raises:
      UserError: for data that are absent or broken.
    """
    source = load_masks(
        settings.source,
        context.data_dir,
        settings.download,
        tuple(settings.image_size) if any(settings.image_size) else None,
        settings.fitting,
        settings.pixel_mean,
        settings.training_data == STREAMED,
        settings.source_options,
    )
    return with_held_out_test(source, settings.fractions, settings.test_seed, settings.block)


def frequencies_of(class_counts: np.ndarray) -> np.ndarray:
    """The share of each class among the pixels that have one, float32 `[C]`.

    A class without a pixel counts as half a pixel, so that all shares lie above 0 and their logarithms are finite.

    Args:
      class_counts: int `[C]`.
    """
    return (np.maximum(class_counts, 0.5) / class_counts.sum()).astype(np.float32)


def place(splits: Mapping[str, MaskedImages], settings: SegmentationSettings, frequencies: Sequence[float]) -> dict[str, PyTree]:
    """The splits as `Task.data`; that of training has `prior`, float32 `[N, C]`, the same in every row.

    Args:
      splits: by name.
      settings: whether training data are streamed.
      frequencies: `[C]`, of the classes in the training split.
    """
    streamed, frequencies = settings.training_data == STREAMED, np.asarray(frequencies)
    placed, train = place_masks(splits, streamed), splits[TRAIN]
    if streamed:
        placed[TRAIN] = StreamedRows.create(RowsWithConstants(train.rows, {PRIOR: frequencies}))
    else:
        placed[TRAIN][PRIOR] = jnp.broadcast_to(frequencies, (len(train), len(frequencies)))
    return placed
