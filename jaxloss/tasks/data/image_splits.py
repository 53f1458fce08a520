"""Train, search_eval and test of images and what belongs to each of them: masks, boxes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.base import SEARCH_EVAL, SPLITS, TEST, TRAIN
from jaxloss.tasks.data.fractions import checked_fractions
from jaxloss.tasks.division_settings import DivisionSettings


class Images(Protocol):
    """Images with what belongs to them."""

    def __len__(self) -> int: ...

    def take(self, rows: np.ndarray) -> Self:
        """Those at `rows`, int `[n]`, in that order."""

    def in_memory(self) -> Self:
        """The same, read."""


class ImageSource(Protocol):
    """A data set as it was published, a dataclass.

    Attributes:
      name: for reports.
      train: what may be trained on, or everything where the source has no division of its own.
      test: the source's own test set, or None.
    """

    name: str
    train: Images
    test: Images | None


Source = TypeVar("Source", bound=ImageSource)


def with_held_out_test(source: Source, fractions: Sequence[float], seed: int, block: int = 1) -> Source:
    """Holds a part of a source out for the test, unless it has a test set of its own.

    Args:
      source: what to divide.
      fractions: of train, search_eval and test; they sum to 1.
      seed: of the choice.
      block: see `split_images`.

    Raises:
      UserError: for fractions that are none, and for a split that would be empty.
    """
    if source.test is not None:
        return source
    parts = _divided(source, fractions, seed, block)
    kept = np.sort(np.concatenate([parts[TRAIN], parts[SEARCH_EVAL]]))
    # In the order of the source, so that neighbours are neighbours still.
    return dataclasses.replace(source, train=source.train.take(kept), test=source.train.take(np.sort(parts[TEST])).in_memory())


def divide(source: Source, settings: DivisionSettings, division: int) -> Mapping[str, Any]:
    """The splits of one division of a source, as its settings say, by name; images of the kind that the source holds.

    Raises:
      UserError: see `split_images`.
    """
    limits = tuple(limit or None for limit in (settings.train_limit, settings.search_eval_limit, settings.test_limit))
    return split_images(source, settings.fractions, division, limits, settings.block)


def split_images(
    source: ImageSource,
    fractions: Sequence[float],
    seed: int,
    limits: Sequence[int | None] = (None, None, None),
    block: int = 1,
) -> Mapping[str, Images]:
    """Divides a source into `train`, `search_eval` and `test`; sizes do not depend on the seed.

    A source with its own test set keeps it, whatever the seed: the other two share its training set in the ratio of their
    fractions.

    Args:
      source: what to divide.
      fractions: of train, search_eval and test; they sum to 1.
      seed: of the division.
      limits: the most images to keep in each split, or None. Those of a published test set are taken at equal distances.
      block: so many neighbours in the order of the source go to the same split, but for those at a border. Frames of a film look
        like their neighbours: with 1, what a search is scored on has nearly been trained on.

    Raises:
      UserError: for fractions or a block that are none, and for a split that would be empty.
    """
    parts = _divided(source, fractions, seed, block)
    if source.test is not None:
        parts[TEST] = np.arange(len(source.test))
    splits = {}
    for name, limit in zip(SPLITS, limits, strict=True):
        published = name == TEST and source.test is not None
        rows = parts[name]
        if limit is not None and limit < len(rows):
            rows = rows[np.linspace(0, len(rows) - 1, max(limit, 0)).round().astype(int)] if published else rows[: max(limit, 0)]
        if not len(rows):
            raise UserError(
                f"split '{name}' would be empty: {len(source.train)} images of '{source.name}', fractions {tuple(fractions)}"
                + ("" if limit is None else f", at most {limit}")
            )
        splits[name] = (source.test if published else source.train).take(rows)
    return splits


def _divided(source: ImageSource, fractions: Sequence[float], seed: int, block: int) -> dict[str, np.ndarray]:
    """Rows of the training set by split."""
    fractions = checked_fractions(fractions)
    if seed < 0 or block < 1:
        raise UserError(f"a division needs a seed of 0 or more and blocks of 1 or more, not {seed} and {block}")
    count = len(source.train)
    pool = fractions if source.test is None else fractions[:2]
    if sum(pool) == 0:
        raise UserError(f"fractions {fractions} leave nothing to train on")
    blocks = np.array_split(np.arange(count), range(block, count, block))
    order = np.concatenate([blocks[index] for index in np.random.default_rng(seed).permutation(len(blocks))])
    cuts = np.round(np.cumsum(pool) / sum(pool) * count).astype(int)
    return dict(zip(SPLITS, np.split(order, cuts[:-1]), strict=False))
