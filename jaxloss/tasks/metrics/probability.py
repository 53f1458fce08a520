"""Metrics of classification that look at the probabilities: their order, and whether they mean what they say."""

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.metrics.classification import correct

NUM_BINS = 15


def macro_auc(logits: Array, labels: Array) -> Array:
    """Mean over the classes of the area under the ROC curve of one class against the rest.

    The area is the share of pairs, an example of the class and one of another, in which the former has the larger probability of
    the class; a tie counts as half a pair. Classes without examples, or that all examples have, are left out. In a row with NaN
    the right class comes last, and all others first.

    Args:
      logits: `[N, C]`.
      labels: int `[N]`.

    Returns:
      A scalar in [0, 1]; 0 where there is no class that can be judged.

    References:
      D. Hand, R. Till: A Simple Generalisation of the Area Under the ROC Curve for Multiple Class Classification Problems, 2001.
    """
    # Logarithms have the same order, and ties only where probabilities of rare classes do not end as 0.
    scores = jax.nn.log_softmax(logits, axis=-1)
    broken = jnp.any(jnp.isnan(scores), axis=-1)

    def area(scores: Array, own: Array) -> tuple[Array, Array]:
        """Of one class, and whether it can be judged."""
        num_own, num_others = own.sum(), (~own).sum()
        # Infinity comes behind every score, so that places among the sorted are counts of the others.
        others = jnp.sort(jnp.where(own | broken, jnp.inf, scores))
        below = (jnp.searchsorted(others, scores, side="left") + jnp.searchsorted(others, scores, side="right")) / 2
        total = jnp.where(own & ~broken, below / jnp.maximum(num_others, 1), 0.0).sum()
        return total / jnp.maximum(num_own, 1), (num_own > 0) & (num_others > 0)

    own = labels[:, None] == jnp.arange(logits.shape[-1])
    areas, judged = jax.vmap(area, in_axes=1)(scores, own)
    return jnp.where(judged, areas, 0.0).sum() / jnp.maximum(judged.sum(), 1)


def macro_average_precision(logits: Array, labels: Array) -> Array:
    """Mean over the classes of the average precision of one class against the rest, without interpolation.

    That of a class is the mean, over its examples, of the share that is right among all with as large a probability of the class
    or a larger one. Classes without examples are left out. In a row with NaN the right class is not found, and all others come
    first.

    Args:
      logits: `[N, C]`.
      labels: int `[N]`.

    Returns:
      A scalar in [0, 1]; 0 where there are no examples.
    """
    scores = jax.nn.log_softmax(logits, axis=-1)
    broken = jnp.any(jnp.isnan(scores), axis=-1)

    def precision(scores: Array, own: Array) -> tuple[Array, Array]:
        """Of one class, and how many examples it has."""
        # A row with NaN stands before all others, or, where it is of the class, before none.
        placed = jnp.where(broken, jnp.where(own, -jnp.inf, jnp.inf), scores)
        taken = len(placed) - jnp.searchsorted(jnp.sort(placed), placed, side="left")
        found = jnp.sort(jnp.where(own & ~broken, placed, -jnp.inf))
        right = len(placed) - jnp.searchsorted(found, placed, side="left")
        return jnp.where(own & ~broken, right / jnp.maximum(taken, 1), 0.0).sum() / jnp.maximum(own.sum(), 1), own.sum()

    own = labels[:, None] == jnp.arange(logits.shape[-1])
    precisions, counts = jax.vmap(precision, in_axes=1)(scores, own)
    return precisions.sum() / jnp.maximum((counts > 0).sum(), 1)


def calibration(logits: Array, labels: Array) -> Array:
    """`1 - ECE`: one minus the expected calibration error, so that higher is better.

    Examples are put into 15 bins of equal width by their largest probability; the error is the mean, over the examples, of how
    far the mean probability of their bin lies from its share of correct examples. A row with NaN is wrong and wholly sure.

    Args:
      logits: `[N, C]`.
      labels: int `[N]`.

    Returns:
      A scalar in [0, 1].

    References:
      C. Guo et al.: On Calibration of Modern Neural Networks, ICML 2017, Eq. 3.
    """
    largest = jax.nn.softmax(logits, axis=-1).max(axis=-1)
    confidence = jnp.where(jnp.isnan(largest), 1.0, largest)
    # A bin holds its upper end.
    bins = jnp.clip(jnp.ceil(confidence * NUM_BINS).astype(jnp.int32) - 1, 0, NUM_BINS - 1)
    excess = jnp.zeros(NUM_BINS, confidence.dtype).at[bins].add(confidence - correct(logits, labels))
    return 1 - jnp.abs(excess).sum() / jnp.maximum(labels.shape[0], 1)
