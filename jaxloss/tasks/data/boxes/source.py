"""What every source of images with boxes delivers: the splits that it has, and the names of the classes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.instances.bitmaps import num_pixels

IMAGE, BOXES, LABELS, VALID, CROWD, CONTENT = "image", "boxes", "labels", "valid", "crowd", "content"
# Coordinates in files are rounded; what reaches over the border by no more is cut.
TOLERANCE = 1.0


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The boxes of one image, in its own pixels, and what an error line calls each of them.

    Attributes:
      boxes: float32 `[K, 4]`, left, top, right, bottom.
      labels: int32 `[K]`.
      crowd: bool `[K]`, many objects under one box.
      content: float32 `[4]`, the box of the image itself: what lies outside of it is padding.
      masks: of the objects, `instances.bitmaps.RunLengths` of the image as it was before it was scaled; None where the source has
        none.
      number: of the image in its source, where somebody has counted.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    content: np.ndarray
    masks: tuple[Mapping[str, Any], ...] | None = None
    number: int = 0

    @classmethod
    def create(
        cls,
        boxes: Sequence[Sequence[float]],
        labels: Sequence[int],
        crowd: Sequence[bool],
        size: tuple[int, int],
        records: Sequence[str],
        drop_empty: bool = False,
        masks: Sequence[Mapping[str, Any]] | None = None,
    ) -> "Annotation":
        """Checks boxes against the (height, width) of their image, and cuts what sticks out of it by rounding.

        Args:
          boxes: left, top, right, bottom, in pixels.
          labels: numbers of classes.
          crowd: see the attributes.
          size: of the image.
          records: where each box comes from: file and record.
          drop_empty: whether boxes without an area, and masks without a pixel, are left out, in place of an error.
          masks: see the attributes.

        Raises:
          UserError: names file and record of a box that is no box, has no area or lies outside of the image, and of a mask
            without a pixel.
        """
        height, width = size
        # What is too large for float32 is no number below.
        with np.errstate(over="ignore"):
            array = np.asarray(boxes, np.float32).reshape(-1, 4)
        if drop_empty:
            # What is no number stays, and is named below.
            kept = [
                row
                for row, box in enumerate(array)
                if not (box[2] <= box[0] or box[3] <= box[1]) and (masks is None or num_pixels(masks[row]))
            ]
            boxes, labels, crowd, records = ([one[row] for row in kept] for one in (boxes, labels, crowd, records))
            array = array[kept]
            masks = None if masks is None else [masks[row] for row in kept]
        for box, record in zip(array, records, strict=True):
            written = ", ".join(f"{value:g}" for value in box)
            if not np.isfinite(box).all():
                raise UserError(f"{record}: the box ({written}) is not made of numbers")
            if not (box[2] > box[0] and box[3] > box[1]):
                raise UserError(f"{record}: the box ({written}) (left, top, right, bottom) has no area")
            if (box[:2] < -TOLERANCE).any() or box[2] > width + TOLERANCE or box[3] > height + TOLERANCE:
                raise UserError(f"{record}: the box ({written}) lies outside of its image, which is {height} x {width}")
        cut = np.clip(array, 0, np.array([width, height, width, height], np.float32))
        for box, record in zip(cut, records, strict=True):
            if not (box[2] > box[0] and box[3] > box[1]):
                raise UserError(f"{record}: the box has no area inside of its image, which is {height} x {width}")
        for mask, record in zip(masks or (), records, strict=masks is not None):
            if not num_pixels(mask):
                raise UserError(f"{record}: the mask has no pixel")
        content = np.array([0, 0, width, height], np.float32)
        numbers, crowds = np.asarray(labels, np.int32).reshape(-1), np.asarray(crowd, bool).reshape(-1)
        return cls(cut, numbers, crowds, content, None if masks is None else tuple(masks))

    @property
    def num_objects(self) -> int:
        """Boxes that are no crowds."""
        return int((~self.crowd).sum())

    def scaled(self, factors: tuple[float, float]) -> "Annotation":
        """In an image that is so many times as high and as wide."""
        rows, columns = factors
        sides = np.array([columns, rows, columns, rows], np.float32)
        return dataclasses.replace(self, boxes=self.boxes * sides, content=self.content * sides)


class LazyImages(Protocol):
    """Images of one size that are read when they are asked for."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, row: int) -> np.ndarray:
        """One of them, uint8 `[H, W, 3]`. Called from several threads."""

    def take(self, rows: np.ndarray) -> "LazyImages":
        """Those at `rows`, int `[n]`, in that order."""

    def read(self) -> np.ndarray:
        """All of them, uint8 `[N, H, W, 3]`."""


@dataclasses.dataclass(frozen=True)
class BoxedImages:
    """Images of one size with their boxes; the images in memory or read when they are asked for.

    Attributes:
      images: uint8 `[N, H, W, 3]`, or what reads them.
      annotations: one for each image, in its pixels.
      names: one for each image, for reports.
    """

    images: np.ndarray | LazyImages
    annotations: tuple[Annotation, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.annotations)

    def take(self, rows: np.ndarray) -> "BoxedImages":
        """The images at `rows`, int `[n]`, in that order."""
        return BoxedImages(
            self.images[rows] if isinstance(self.images, np.ndarray) else self.images.take(rows),
            tuple(self.annotations[row] for row in rows),
            tuple(self.names[row] for row in rows),
        )

    def in_memory(self) -> "BoxedImages":
        """The same, read."""
        return self if isinstance(self.images, np.ndarray) else dataclasses.replace(self, images=self.images.read())

    @property
    def most_boxes(self) -> int:
        """Of an image."""
        return max((len(one.boxes) for one in self.annotations), default=0)

    @property
    def num_objects(self) -> int:
        """Boxes of all images, crowds left out."""
        return sum(one.num_objects for one in self.annotations)

    def arrays(self, most: int) -> dict[str, np.ndarray]:
        """Images and boxes as arrays: `image` uint8 `[N, H, W, 3]`, and `annotation_arrays`."""
        return {IMAGE: self.in_memory().images, **self.annotation_arrays(most)}

    def annotation_arrays(self, most: int) -> dict[str, np.ndarray]:
        """What is known of the images, as arrays that are padded to `most` boxes, `K`.

        Returns:
          `boxes` float32 `[N, K, 4]`, `labels` int32 `[N, K]`, `valid` and `crowd` bool `[N, K]`, `content` float32 `[N, 4]`.
        """
        count = len(self)
        arrays = {
            BOXES: np.zeros((count, most, 4), np.float32),
            LABELS: np.zeros((count, most), np.int32),
            VALID: np.zeros((count, most), bool),
            CROWD: np.zeros((count, most), bool),
            CONTENT: np.zeros((count, 4), np.float32),
        }
        for row, one in enumerate(self.annotations):
            here = slice(0, len(one.boxes))
            arrays[BOXES][row, here], arrays[LABELS][row, here], arrays[CROWD][row, here] = one.boxes, one.labels, one.crowd
            arrays[VALID][row, here], arrays[CONTENT][row] = True, one.content
        return arrays


@dataclasses.dataclass(frozen=True)
class BoxSource:
    """A data set as it was published.

    Attributes:
      name: for reports.
      train: what may be trained on, or everything where the source has no division of its own.
      test: the source's own test set, or None.
      class_names: one name per class, in the order of their numbers.
    """

    name: str
    train: BoxedImages
    test: BoxedImages | None
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """`C`, background left out."""
        return len(self.class_names)

    @property
    def most_boxes(self) -> int:
        """Of an image, 1 at least: room for boxes is the same in all splits."""
        return max(1, self.train.most_boxes, 0 if self.test is None else self.test.most_boxes)
