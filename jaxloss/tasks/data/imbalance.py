"""Long-tailed training sets: classes that fall off from many examples to few, and how often each class occurs."""

import numpy as np

from jaxloss.core.errors import UserError

_KEY = "task.classification.imbalance_ratio"
# A whole number of examples that rounding has put a little below itself is that number.
_ROUNDING = 1e-9


def long_tail_counts(available: np.ndarray, ratio: float) -> np.ndarray:
    """How many examples of each class a long-tailed training set has: `n ratio^(-c / (C - 1))`, rounded down.

    Class 0 is the most frequent one, class `C - 1` the rarest, and `n` is the largest number for which there are enough examples
    of all classes.

    Args:
      available: int `[C]`, the examples of each class.
      ratio: of the most to the least frequent class, 1 or more.

    Returns:
      int `[C]`, each at least 1.

    Raises:
      UserError: for a class without examples, and for a ratio that would leave one without.

    References:
      Y. Cui et al.: Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, Section 5.1 (the exponential profile).
      K. Cao et al.: Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019, Section 4.
    """
    absent = np.flatnonzero(available == 0)
    if len(absent):
        raise UserError(f"{_KEY} needs training images of every class, and class {absent[0]} has none to be sure of")
    ranks = np.arange(len(available)) / max(len(available) - 1, 1)
    profile = ratio**-ranks
    counts = np.floor((available / profile).min() * profile + _ROUNDING).astype(int)
    if counts.min() < 1:
        # The last class has an example as long as available[c] >= ratio^(1 - rank of c) for all the others.
        largest = (available[:-1].astype(float) ** (1 / (1 - ranks[:-1]))).min()
        raise UserError(
            f"{_KEY} must be at most {np.floor(largest):.0f} for these data, not {ratio:g}: "
            f"class {counts.argmin()} would have no training image"
        )
    return counts


def long_tailed_rows(labels: np.ndarray, counts: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random choice of `counts[c]` examples of every class `c`: int rows, in the order in which they were.

    Args:
      labels: int `[M]`.
      counts: int `[C]`, at most as many as there are.
      generator: of the choice.
    """
    chosen = [generator.choice(np.flatnonzero(labels == index), count, replace=False) for index, count in enumerate(counts)]
    return np.sort(np.concatenate(chosen))


def class_frequencies(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """The share of each class among labels, float32 `[C]`.

    A class that does not occur counts as half an example, so that all shares lie above 0 and their logarithms are finite.
    """
    counts = np.bincount(labels, minlength=num_classes)
    return (np.maximum(counts, 0.5) / len(labels)).astype(np.float32)
