"""Cosines to classes and right classes, made up: from those of an untrained network to those of one that is sure."""

from collections.abc import Mapping

import jax
import numpy as np

from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.types import Array, LossInputs

NUM_SAMPLES, NUM_CLASSES = 16, 16
_SEED = 0
# Cosines to other classes are those of random directions; the highest that a network is sure of stays below 1, where angles end.
_DEVIATION, _HIGHEST = 0.15, 0.95
# Range of the one cosine that stands out, and whether it is that to the right class.
_KINDS = ((-0.2, 0.2, True), (0.1, 0.6, True), (0.6, _HIGHEST, True), (0.6, _HIGHEST, False))
_NUM_MIXED = 4


def cosine_samples(branch: str) -> OutputSamples:
    """Batches that margin losses can be told apart by, the same at every call.

    Each of the first four is of one kind, so that its small gradients are not lost beside the large ones of another; the others
    mix the kinds.

    Args:
      branch: whose inputs `cosine` and `target` `[N, 1, 1, C]` they are.
    """
    random = np.random.default_rng(_SEED)
    batches = [_batch(random, [kind]) for kind in _KINDS] + [_batch(random, _KINDS) for _ in range(_NUM_MIXED)]
    cosines, labels = (np.stack(parts) for parts in zip(*batches, strict=True))

    def inputs(cosine: Array, context: Mapping[str, Array]) -> dict[str, LossInputs]:
        target = jax.nn.one_hot(context["label"], NUM_CLASSES, dtype=cosine.dtype)
        return {branch: LossInputs.create({"cosine": cosine[:, None, None], "target": target[:, None, None]})}

    return OutputSamples(cosines.astype(np.float32), {"label": labels.astype(np.int32)}, inputs)


def _batch(random: np.random.Generator, kinds: list[tuple[float, float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    """Cosines `[N, C]` and right classes `[N]`."""
    labels = random.integers(NUM_CLASSES, size=NUM_SAMPLES)
    cosines = np.clip(_DEVIATION * random.standard_normal((NUM_SAMPLES, NUM_CLASSES)), -_HIGHEST, _HIGHEST)
    for row, label in enumerate(labels):
        low, high, is_right = kinds[row % len(kinds)]
        place = label if is_right else (label + random.integers(1, NUM_CLASSES)) % NUM_CLASSES
        cosines[row, place] = random.uniform(low, high)
    return cosines, labels
