"""Wrong labels, put in on purpose: the setting in which robust losses show what they are worth."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxloss.core.errors import UserError, unknown

# Confusions between like classes, class from -> class to: truck to automobile, bird to airplane, deer to horse, cat and dog.
MAPPINGS: Mapping[str, Mapping[int, int]] = {"cifar10": {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}}


def symmetric_noise(
    labels: np.ndarray, num_classes: int, rate: float, generator: np.random.Generator, mapping: np.ndarray
) -> np.ndarray:
    """Replaces a fraction of the labels by classes drawn uniformly from all of them.

    A drawn class may be the right one, so that a fraction of `rate * (1 - 1 / num_classes)` ends up wrong.
    """
    del mapping
    noisy = labels.copy()
    rows = generator.choice(len(labels), round(rate * len(labels)), replace=False)
    noisy[rows] = generator.integers(num_classes, size=len(rows))
    return noisy


def flipped_noise(
    labels: np.ndarray, num_classes: int, rate: float, generator: np.random.Generator, mapping: np.ndarray
) -> np.ndarray:
    """Moves a fraction of the labels to another class, drawn uniformly from the others: so many end up wrong."""
    del mapping
    noisy = labels.copy()
    rows = generator.choice(len(labels), round(rate * len(labels)), replace=False)
    noisy[rows] = (labels[rows] + generator.integers(1, num_classes, size=len(rows))) % num_classes
    return noisy


def asymmetric_noise(
    labels: np.ndarray, num_classes: int, rate: float, generator: np.random.Generator, mapping: np.ndarray
) -> np.ndarray:
    """Moves a fraction of every class `c` to the class `mapping[c]`."""
    noisy = labels.copy()
    for index in range(num_classes):
        rows = np.flatnonzero(labels == index)
        noisy[generator.permutation(rows)[: round(rate * len(rows))]] = mapping[index]
    return noisy


NOISES: Mapping[str, Callable[..., np.ndarray]] = {
    "symmetric": symmetric_noise,
    "flipped": flipped_noise,
    "asymmetric": asymmetric_noise,
}


def class_mapping(mapping: str | Sequence[int], num_classes: int) -> np.ndarray:
    """Where asymmetric noise moves each class, int32 `[C]`.

    Args:
      mapping: `next` (class c to c + 1, the last to the first), the name of a known mapping, or one class per class.
      num_classes: `C`.
    """
    if not isinstance(mapping, str):
        targets = np.asarray(list(mapping), np.int32)
        if targets.shape != (num_classes,) or targets.min() < 0 or targets.max() >= num_classes:
            raise UserError(f"a noise mapping must name one of the {num_classes} classes for each class, not {list(mapping)}")
        return targets
    classes = np.arange(num_classes, dtype=np.int32)
    if mapping == "next":
        return (classes + 1) % num_classes
    if mapping not in MAPPINGS:
        raise unknown("noise mapping", mapping, ["next", *MAPPINGS])
    confusions = MAPPINGS[mapping]
    if max(confusions) >= num_classes or max(confusions.values()) >= num_classes:
        raise UserError(f"noise mapping '{mapping}' is for more classes than these data have ({num_classes})")
    return np.asarray([confusions.get(index, index) for index in classes], np.int32)


def noisy_labels(
    labels: np.ndarray,
    num_classes: int,
    kind: str,
    rate: float,
    seed: int | Sequence[int],
    mapping: str | Sequence[int] = "next",
) -> np.ndarray:
    """Labels with noise; the same seed gives the same labels.

    Args:
      labels: int32 `[M]`, left as they are.
      num_classes: `C`.
      kind: `none` or a name in `NOISES`.
      rate: fraction in [0, 1], of all labels (symmetric) or of each class (asymmetric).
      seed: seed of the noise alone.
      mapping: only for asymmetric noise, see `class_mapping`.

    References:
      G. Patrini et al.: Making Deep Neural Networks Robust to Label Noise, CVPR 2017 (the CIFAR-10 mapping).
    """
    if not 0.0 <= rate <= 1.0:
        raise UserError(f"noise rate {rate} is not a fraction between 0 and 1")
    if kind == "none":
        return labels.copy()
    if kind not in NOISES:
        raise unknown("label noise", kind, ["none", *NOISES])
    generator = np.random.default_rng(seed)
    return NOISES[kind](labels, num_classes, rate, generator, class_mapping(mapping, num_classes)).astype(np.int32)
