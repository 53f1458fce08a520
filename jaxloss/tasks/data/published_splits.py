"""The splits in which data sets are published, and what of them is trained on and tested."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from jaxloss.core.errors import UserError

TRAIN, VAL, TEST = "train", "val", "test"
PUBLISHED_SPLITS = (TRAIN, VAL, TEST)
_WORDS = {"0": TRAIN, "1": VAL, "validation": VAL}

# What a split holds: images with masks, boxes or keypoints, not read yet.
Record = TypeVar("Record")


def divided_by(words: Sequence[str], records: Sequence[Record], origin: str) -> dict[str, list[Record]]:
    """Records, which have a `name`, by the split that is said of each: `train`, `val`, `test`, or 0 (train) and 1 (val).

    Raises:
      UserError: for another word.
    """
    splits: dict[str, list[Record]] = {}
    for word, record in zip(words, records, strict=True):
        split = _WORDS.get(word, word)
        if split not in PUBLISHED_SPLITS:
            raise UserError(f"{origin}: the split of {record.name} is '{word}'; it may be train, val or test, or 0 or 1")
        splits.setdefault(split, []).append(record)
    return splits


def train_and_test(
    splits: Mapping[str, Sequence[Record]], origin: str, nothing: str = "there are no images"
) -> tuple[list[Record], Sequence[Record] | None]:
    """What is divided anew into train and search_eval, and the test set, or None.

    The test set is `test` where there is one, and `val` otherwise. Where there are both, `val` joins `train`.

    Args:
      splits: records by name in `PUBLISHED_SPLITS`; one that is absent was not published.
      origin: where they come from, for the error line.
      nothing: what is said of a split that is empty.

    Raises:
      UserError: for a split without records, and where none is for training.
    """
    for split, records in splits.items():
        if not records:
            raise UserError(f"{origin}: {nothing} in the split '{split}'")
    if TRAIN not in splits:
        raise UserError(f"{origin}: there are no training images")
    return [*splits[TRAIN], *(splits.get(VAL, ()) if TEST in splits else ())], splits.get(TEST, splits.get(VAL))
