"""Published splits of images and boxes, read, brought to one size, and put together as a source."""

import concurrent.futures
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.boxes.source import Annotation, BoxedImages, BoxSource
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.published_splits import train_and_test


@dataclasses.dataclass(frozen=True)
class Record:
    """An image with its boxes, neither of them read or checked yet.

    Attributes:
      name: for reports.
      origin: what an error line calls the image.
      size: gives the image's (height, width), without decoding it where that can be.
      read: gives the image, uint8 `[H, W, 3]`.
      annotate: `((height, width) of the image) -> its boxes`.
    """

    name: str
    origin: str
    size: Callable[[], tuple[int, int]]
    read: Callable[[], np.ndarray]
    annotate: Callable[[tuple[int, int]], Annotation]


def make_box_source(
    name: str,
    splits: Mapping[str, Sequence[Record]],
    class_names: tuple[str, ...],
    frame: Frame,
    streamed: bool,
    origin: str,
) -> BoxSource:
    """A source of the splits that were published.

    What is tested is said by `published_splits.train_and_test`; a search divides the rest anew into what it trains on and what it
    is scored on.

    Args:
      name: for reports.
      splits: records by name in `PUBLISHED_SPLITS`; one that is absent was not published.
      class_names: one name per class.
      frame: what size images, and boxes with them, are brought to.
      streamed: leaves the images of `train` where they are; they are read when they are asked for. Boxes are read in any case.
      origin: where the images come from, for the error line.

    Raises:
      UserError: for a split without images or boxes, images that cannot be read or are of different sizes, and boxes that are
        wrong.
    """
    train, test = train_and_test(splits, origin)
    parts = [None if records is None else _boxed(records, frame, train[0]) for records in (train, test)]
    for part, what in zip(parts, ("that is trained on", "of the test"), strict=True):
        if part is not None and not part.most_boxes:
            raise UserError(f"{origin}: no image {what} has a box")
    if parts[1] is not None:
        # Scores are computed on the device.
        parts[1] = parts[1].in_memory()
    return BoxSource(name, parts[0] if streamed else parts[0].in_memory(), parts[1], class_names)


class RecordImages:
    """The images of records in the size of a frame, read when they are asked for: `source.LazyImages`."""

    def __init__(self, records: Sequence[Record], frame: Frame):
        """Records whose images are of one size in the frame."""
        self.records, self._frame = tuple(records), frame

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, row: int) -> np.ndarray:
        """An image, uint8 `[H, W, 3]`.

        Raises:
          UserError: it cannot be read.
        """
        record = self.records[row]
        return self._frame.place_image(record.read(), record.origin)

    def take(self, rows: np.ndarray) -> "RecordImages":
        """Those at `rows`, int `[n]`, in that order."""
        return RecordImages([self.records[row] for row in rows], self._frame)

    def read(self) -> np.ndarray:
        """All of them, uint8 `[N, H, W, 3]`, read by several threads."""
        first = self[0]
        images = np.empty((len(self), *first.shape), np.uint8)

        def put(row: int) -> None:
            images[row] = self[row]

        # Pillow decodes and resizes outside Python's lock.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for _ in pool.map(put, range(len(self))):
                pass
        return images


def _boxed(records: Sequence[Record], frame: Frame, first: Record) -> BoxedImages:
    """Boxes are looked at now, all of them; images have the size in the frame of the first record."""

    def annotated(record: Record) -> Annotation:
        size = record.size()
        annotation = record.annotate(size)
        inner = frame.inner(size, record.origin)
        return annotation if inner == size else annotation.scaled((inner[0] / size[0], inner[1] / size[1]))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        annotations = tuple(pool.map(annotated, records))
    if frame.size is None:
        expected = first.size()
        for record, annotation in zip(records, annotations, strict=True):
            # Not scaled: the content is the whole image.
            size = tuple(int(side) for side in annotation.content[[3, 2]])
            if size != expected:
                sizes = [" x ".join(map(str, one)) for one in (size, expected)]
                raise UserError(
                    f"image {record.origin} is {sizes[0]}, but {first.origin} is {sizes[1]}; give an image_size (height, width) "
                    "for all"
                )
    return BoxedImages(RecordImages(records, frame), annotations, tuple(record.name for record in records))
