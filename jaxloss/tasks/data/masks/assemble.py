"""Published splits of images and masks, put together as a source."""

from collections.abc import Mapping, Sequence

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.masks.pairs import IMAGE, Pair, PairRows
from jaxloss.tasks.data.masks.source import MaskedImages, MaskSource
from jaxloss.tasks.data.published_splits import train_and_test


def make_mask_source(
    name: str,
    splits: Mapping[str, Sequence[Pair]],
    class_names: tuple[str, ...],
    frame: Frame,
    streamed: bool,
    origin: str,
) -> MaskSource:
    """A source of the splits that were published.

    What is tested is said by `published_splits.train_and_test`; a search divides the rest anew into what it trains on and what it
    is scored on.

    Args:
      name: for reports.
      splits: pairs by name in `PUBLISHED_SPLITS`; one that is absent was not published.
      class_names: one name per class.
      frame: what size images and masks are brought to.
      streamed: leaves the images of `train` in their files; they are read when they are asked for.
      origin: where the images come from, for the error line.

    Raises:
      UserError: for a split without images, and for images that cannot be read or are of different sizes.
    """
    train, test = train_and_test(splits, origin)
    parts = [None if pairs is None else _masked_images(pairs, frame) for pairs in (train, test)]
    if parts[1] is not None:
        # Read before the rest: thousands of images take minutes.
        first, other = (part.rows[0][IMAGE].shape[:2] for part in parts)
        if first != other:
            raise UserError(
                f"image {test[0].image} is {other[0]} x {other[1]}, but {train[0].image} is {first[0]} x {first[1]}; give an "
                "image_size (height, width) for all"
            )
        # Scores are computed on the device.
        parts[1] = parts[1].in_memory()
    return MaskSource(name, parts[0] if streamed else parts[0].in_memory(), parts[1], class_names)


def _masked_images(pairs: Sequence[Pair], frame: Frame) -> MaskedImages:
    return MaskedImages(PairRows(pairs, frame), tuple(pair.name for pair in pairs))
