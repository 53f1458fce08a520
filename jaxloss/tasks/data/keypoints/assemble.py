"""Published splits of images and keypoints, read, brought to one size, and put together as a source."""

import concurrent.futures
import dataclasses
from collections.abc import Callable, Mapping, Sequence

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.keypoints.source import Example, KeypointImages, KeypointSource
from jaxloss.tasks.data.published_splits import train_and_test


@dataclasses.dataclass(frozen=True)
class Record:
    """A subject, not read or checked yet.

    Attributes:
      name: for reports.
      origin: what an error line calls it.
      owner: number of the image that it is in.
      read: `() -> example`.
    """

    name: str
    origin: str
    owner: int
    read: Callable[[], Example]


def make_keypoint_source(
    name: str, splits: Mapping[str, Sequence[Record]], keypoint_names: tuple[str, ...], origin: str
) -> KeypointSource:
    """A source of the splits that were published.

    What is tested is said by `published_splits.train_and_test`; a search divides the rest anew into what it trains on and what it
    is scored on.

    Args:
      name: for reports.
      splits: records by name in `PUBLISHED_SPLITS`; one that is absent was not published.
      keypoint_names: `[K]`.
      origin: where the images come from, for the error line.

    Raises:
      UserError: for a split without subjects, images that cannot be read or are of different sizes, and keypoints that are wrong.
    """
    train, test = train_and_test(splits, origin, "there is nobody with a visible keypoint")
    read = [_stacked(records, train[0]) for records in (train, test) if records is not None]
    return KeypointSource(name, read[0], None if test is None else read[1], keypoint_names)


def _stacked(records: Sequence[Record], first: Record) -> KeypointImages:
    # Pillow decodes and resizes outside Python's lock.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        examples = list(pool.map(lambda record: record.read(), records))
    shape = examples[0].image.shape if records[0] is first else first.read().image.shape
    for record, example in zip(records, examples, strict=True):
        if example.image.shape != shape:
            sizes = [" x ".join(map(str, one[:2])) for one in (example.image.shape, shape)]
            raise UserError(
                f"{record.origin} is {sizes[0]}, but {first.origin} is {sizes[1]}; give an image_size (height, width) for all"
            )
    return KeypointImages.create(examples, [one.owner for one in records], [one.name for one in records])
