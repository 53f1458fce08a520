"""What every source of images with masks delivers: the splits that it has, and the names of the classes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.class_names import checked_class_names
from jaxloss.tasks.data.stream import ArrayRows

# The number of a pixel without a class; it is left out of losses and scores.
VOID = 255
MAX_CLASSES = 254


class MaskedRows(Protocol):
    """Rows of `image` uint8 `[H, W, 3]` and `mask` uint8 `[H, W]`: a `stream.RowSource` of which a part can be taken."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, row: int) -> Mapping[str, np.ndarray]:
        """One of them."""

    def take(self, rows: np.ndarray) -> "MaskedRows":
        """Those at `rows`, int `[n]`, in that order."""

    def arrays(self) -> Mapping[str, np.ndarray]:
        """All of them, `[N, ...]`."""


class MaskedArrays(ArrayRows):
    """Images and masks in memory: `MaskedRows`."""

    def take(self, rows: np.ndarray) -> "MaskedArrays":
        """See `MaskedRows.take`."""
        return MaskedArrays(self.__getitems__(rows))

    def arrays(self) -> dict[str, np.ndarray]:
        """See `MaskedRows.arrays`."""
        return dict(self._arrays)


@dataclasses.dataclass(frozen=True)
class MaskedImages:
    """Images with a class for each pixel, in memory or read when they are asked for.

    Attributes:
      rows: the images and masks.
      names: one for each image, for reports.
    """

    rows: MaskedRows
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: np.ndarray) -> "MaskedImages":
        """The images at `rows`, int `[n]`, in that order."""
        return MaskedImages(self.rows.take(rows), tuple(self.names[row] for row in rows))

    def in_memory(self) -> "MaskedImages":
        """The same, read."""
        return self if isinstance(self.rows, MaskedArrays) else MaskedImages(MaskedArrays(self.rows.arrays()), self.names)


@dataclasses.dataclass(frozen=True)
class MaskSource:
    """A data set as it was published.

    Attributes:
      name: for reports.
      train: what may be trained on, or everything where the source has no division of its own.
      test: the source's own test set, or None.
      class_names: one name per class, in the order of their numbers.
    """

    name: str
    train: MaskedImages
    test: MaskedImages | None
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """`C`, void left out."""
        return len(self.class_names)


def mask_class_names(names: Sequence[str], origin: str) -> tuple[str, ...]:
    """The names of the classes of masks, see `checked_class_names`.

    Raises:
      UserError: also for more classes than a mask can number.
    """
    if len(names) > MAX_CLASSES:
        raise UserError(f"{origin}: {len(names)} classes; a mask numbers at most {MAX_CLASSES}, beside void ({VOID})")
    return checked_class_names(names, origin)
