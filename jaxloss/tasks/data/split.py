"""Three disjoint, stratified splits of a source."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.base import SEARCH_EVAL, SPLITS, TEST, TRAIN
from jaxloss.tasks.data.fractions import checked_fractions
from jaxloss.tasks.data.source import LabelledImages, Source


def stratified_order(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random order in which every stretch holds the classes in their overall proportions, nearly.

    Each example gets its relative place within its own class (first of ten: 0.05), and the places are merged. Cutting this
    order anywhere gives stratified parts of exactly the wanted size.

    Args:
      labels: int `[M]`.
      generator: draws the order within the classes, and among classes on equal places.

    Returns:
      Rows, int `[M]`.
    """
    shuffled = generator.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return by_class[np.lexsort((generator.random(len(labels)), _places(labels[by_class])))]


def _places(sorted_labels: np.ndarray) -> np.ndarray:
    """The relative place of each example within its class, `[M]`."""
    counts = np.bincount(sorted_labels)
    first = np.cumsum(counts) - counts
    return (np.arange(len(sorted_labels)) - first[sorted_labels] + 0.5) / counts[sorted_labels]


def sure_counts(labels: np.ndarray, size: int, num_classes: int) -> np.ndarray:
    """How many examples of each class are among the first `size` of `stratified_order`, whatever its generator: int `[C]`.

    Only examples on equal places change sides of a cut between one order and another, at most one of each class.
    """
    sorted_labels = np.sort(labels)
    places = _places(sorted_labels)
    inside = places < np.append(np.sort(places), np.inf)[size]
    return np.bincount(sorted_labels[inside], minlength=num_classes)


def with_held_out_test(source: Source, fractions: Sequence[float], seed: int) -> Source:
    """Holds a stratified part of a source out for the test, unless it has a test set of its own.

    Args:
      source: what to divide.
      fractions: of train, search_eval and test; they sum to 1.
      seed: of the choice.

    Raises:
      UserError: for fractions that are none, and for a split that would be empty.
    """
    if source.test is not None:
        return source
    splits = split_source(source, fractions, seed)
    kept = (splits[TRAIN], splits[SEARCH_EVAL])
    rest = LabelledImages(np.concatenate([part.images for part in kept]), np.concatenate([part.labels for part in kept]))
    return dataclasses.replace(source, train=rest, test=splits[TEST])


def split_source(
    source: Source, fractions: Sequence[float], seed: int, limits: Sequence[int | None] = (None, None, None)
) -> Mapping[str, LabelledImages]:
    """Divides a source into `train`, `search_eval` and `test`; sizes do not depend on the seed.

    A source with its own test set keeps it: the other two share its training set in the ratio of their fractions.

    Args:
      source: what to divide.
      fractions: of train, search_eval and test; they sum to 1.
      seed: of the division.
      limits: the most examples to keep in each split, or None.

    Raises:
      UserError: for fractions that are none, and for a split that would be empty.
    """
    fractions = checked_fractions(fractions)
    if seed < 0:
        raise UserError(f"the seed of a split must not be negative, not {seed}")
    generator = np.random.default_rng(seed)
    order = stratified_order(source.train.labels, generator)
    pool = fractions if source.test is None else fractions[:2]
    if sum(pool) == 0:
        raise UserError(f"fractions {fractions} leave nothing to train on")
    cuts = np.round(np.cumsum(pool) / sum(pool) * len(order)).astype(int)
    parts = dict(zip(SPLITS, np.split(order, cuts[:-1]), strict=False))
    if source.test is not None:
        parts[TEST] = stratified_order(source.test.labels, generator)

    splits = {}
    for name, limit in zip((TRAIN, SEARCH_EVAL, TEST), limits, strict=True):
        rows = parts[name][:limit] if limit is None or limit > 0 else parts[name][:0]
        if not len(rows):
            raise UserError(
                f"split '{name}' would be empty: {len(order)} images of '{source.name}', fractions {fractions}"
                + ("" if limit is None else f", at most {limit}")
            )
        splits[name] = (source.test if name == TEST and source.test is not None else source.train).take(rows)
    return splits
