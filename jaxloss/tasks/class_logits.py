"""Logits and labels, made up: from those of an untrained network to those of one that is sure, and right or wrong."""

import numpy as np

NUM_SAMPLES = 16
_SEED = 0
# Where the own class stands above the others, in multiples of what makes it as likely as all of them together. Surer still,
# what a training in float32 sees of 1 - p is mostly rounded off.
_SURE = (3.5, 6.5)


def class_logits(num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Batches that losses can be told apart by; the same at every call.

    Each of the first four is of one kind, so that the small gradients of one kind are not lost beside the large ones of another;
    the others mix the kinds. In the last two some classes are rare and most predictions fall on one, for losses that read the
    statistics of a batch.

    Args:
      num_classes: `C`, at least 2.

    Returns:
      Logits, float32 `[K, N, C]`, and labels, int32 `[K, N]`.
    """
    random = np.random.default_rng(_SEED)
    kinds = [[kind] for kind in KINDS] + [list(KINDS)] * 4
    batches = []
    for index, mixed in enumerate(kinds):
        skewed = index >= len(kinds) - 2
        labels = random.integers(2 if skewed else num_classes, size=NUM_SAMPLES)
        rows = [mixed[n % len(mixed)](random, num_classes, label) for n, label in enumerate(labels)]
        logits = np.stack(rows) + (2.0 * (np.arange(num_classes) == 0) if skewed else 0.0)
        batches.append((logits, labels))
    logits, labels = zip(*batches, strict=True)
    return np.stack(logits).astype(np.float32), np.stack(labels).astype(np.int32)


def _untrained(random: np.random.Generator, num_classes: int, label: int) -> np.ndarray:
    del label
    return 0.1 * random.standard_normal(num_classes)


def _half_way(random: np.random.Generator, num_classes: int, label: int) -> np.ndarray:
    return _raised(random, num_classes, label, random.uniform(-0.5, 1.5))


def _sure(random: np.random.Generator, num_classes: int, label: int) -> np.ndarray:
    return _raised(random, num_classes, label, random.uniform(*_SURE))


def _sure_and_wrong(random: np.random.Generator, num_classes: int, label: int) -> np.ndarray:
    other = (label + random.integers(1, num_classes)) % num_classes
    return _raised(random, num_classes, other, random.uniform(*_SURE))


def _raised(random: np.random.Generator, num_classes: int, place: int, height: float) -> np.ndarray:
    logits = random.standard_normal(num_classes)
    logits[place] += np.log(num_classes - 1) + height
    return logits


# `(random, num_classes, label) -> logits [C]`.
KINDS = (_untrained, _half_way, _sure, _sure_and_wrong)
