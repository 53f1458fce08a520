"""Published splits of images and boxes, read, brought to one size, and put together as a source."""

import concurrent.futures
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.boxes.source import PUBLISHED_SPLITS, TEST, TRAIN, VAL, Annotation, BoxedImages, BoxSource


@dataclasses.dataclass(frozen=True)
class Record:
    """An image with its boxes, neither of them read or checked yet.

    Attributes:
      name: for reports.
      origin: what an error line calls the image.
      read: gives the image, uint8 `[H, W, 3]`.
      annotate: `((height, width) of the image) -> its boxes`.
    """

    name: str
    origin: str
    read: Callable[[], np.ndarray]
    annotate: Callable[[tuple[int, int]], Annotation]


def make_box_source(
    name: str,
    splits: Mapping[str, Sequence[Record]],
    class_names: tuple[str, ...],
    image_size: tuple[int, int] | None,
    origin: str,
) -> BoxSource:
    """A source of the splits that were published.

    The test set is `test` where there is one, and `val` otherwise. Where there are both, `val` joins `train`: a search divides
    these anew into what it trains on and what it is scored on.

    Args:
      name: for reports.
      splits: records by name in `source.PUBLISHED_SPLITS`; one that is absent was not published.
      class_names: one name per class.
      image_size: (height, width) that images, and boxes with them, are stretched to; None leaves them as they are.
      origin: where the images come from, for the error line.

    Raises:
      UserError: for a split without images, images that cannot be read or are of different sizes, and boxes that are wrong.
    """
    for split in splits:
        if not splits[split]:
            raise UserError(f"{origin}: there are no images in the split '{split}'")
    if TRAIN not in splits:
        raise UserError(f"{origin}: there are no training images")
    train = [*splits[TRAIN], *(splits.get(VAL, ()) if TEST in splits else ())]
    test = splits.get(TEST, splits.get(VAL))
    read = [_boxed(records, image_size) for records in (train, test) if records is not None]
    first, other = read[0].images.shape[1:3], read[-1].images.shape[1:3]
    if first != other:
        raise _different_sizes(test[0].origin, other, train[0].origin, first)
    return BoxSource(name, read[0], None if test is None else read[1], class_names)


def divided_by(words: Sequence[str], records: Sequence[Record], origin: str) -> dict[str, list[Record]]:
    """Records by the split that is said of each: `train`, `val`, `test`, or 0 (train) and 1 (val).

    Raises:
      UserError: for another word.
    """
    known = {"0": TRAIN, "1": VAL, "validation": VAL}
    splits: dict[str, list[Record]] = {}
    for word, record in zip(words, records, strict=True):
        split = known.get(word, word)
        if split not in PUBLISHED_SPLITS:
            raise UserError(f"{origin}: the split of {record.name} is '{word}'; it may be train, val or test, or 0 or 1")
        splits.setdefault(split, []).append(record)
    return splits


def _boxed(records: Sequence[Record], image_size: tuple[int, int] | None) -> BoxedImages:
    def placed(record: Record) -> tuple[np.ndarray, Annotation]:
        image = record.read()
        size = image.shape[:2]
        annotation = record.annotate(size)
        if image_size is None or size == tuple(image_size):
            return image, annotation
        height, width = image_size
        stretched = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
        return stretched, annotation.scaled((height / size[0], width / size[1]))

    # Pillow decodes and resizes outside Python's lock.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(placed, records))
    for record, (image, _) in zip(records, found, strict=True):
        if image.shape != found[0][0].shape:
            raise _different_sizes(record.origin, image.shape[:2], records[0].origin, found[0][0].shape[:2])
    return BoxedImages(
        np.stack([image for image, _ in found]), tuple(one for _, one in found), tuple(record.name for record in records)
    )


def _different_sizes(origin: str, size: Sequence[int], first: str, first_size: Sequence[int]) -> UserError:
    sizes = [" x ".join(map(str, one)) for one in (size, first_size)]
    return UserError(f"image {origin} is {sizes[0]}, but {first} is {sizes[1]}; give an image_size (height, width) for all")
