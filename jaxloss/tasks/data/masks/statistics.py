"""What there is to know of a whole split: how often classes occur, and the mean pixel."""

import concurrent.futures
import dataclasses

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.masks.pairs import IMAGE, MASK
from jaxloss.tasks.data.masks.source import VOID, MaskedImages


@dataclasses.dataclass(frozen=True)
class PixelStatistics:
    """Of all pixels that have a class; void, and with it what was padded, is left out.

    Attributes:
      class_counts: int64 `[C]`, the pixels of each class; 0 for one that does not occur.
      mean: float64 `[3]`, of each channel, on the scale of 0 to 1.
      deviation: float64 `[3]`, likewise; the square root of the mean squared distance from the mean.
    """

    class_counts: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


def pixel_statistics(part: MaskedImages, num_classes: int) -> PixelStatistics:
    """Looks at every image once, by several threads; those in files are read for it.

    Args:
      part: the images.
      num_classes: `C`.

    Raises:
      UserError: for images that are all void.
    """

    def of_row(row: int) -> tuple[np.ndarray, np.ndarray]:
        example = part.rows[row]
        kept = example[MASK] != VOID
        channels = [np.bincount(example[IMAGE][..., channel][kept], minlength=256) for channel in range(3)]
        return np.bincount(example[MASK].ravel(), minlength=256)[:num_classes], np.stack(channels)

    # Whole numbers: the sums do not depend on the order of the images.
    class_counts, shades = np.zeros(num_classes, np.int64), np.zeros((3, 256), np.int64)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for counts, of_channels in pool.map(of_row, range(len(part))):
            class_counts += counts
            shades += of_channels
    if not class_counts.sum():
        raise UserError(f"all {len(part)} images, from {part.names[0]} on, are void: there is nothing to learn")
    shares, levels = shades / shades.sum(axis=1, keepdims=True), np.arange(256) / 255
    mean = shares @ levels
    return PixelStatistics(class_counts, mean, np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(axis=1)))
