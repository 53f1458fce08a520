"""Metrics that count how often the largest score is that of the right class: of all examples, and class by class."""

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array


def correct(scores: Array, labels: Array) -> Array:
    """Whether the largest score is the right class's; of equal scores the first counts, and a row with NaN is wrong.

    Without the last rule a network that has broken down would score the share of class 0, since NaN wins every argmax.

    Args:
      scores: `[N, C]`, logits or probabilities.
      labels: int `[N]`.

    Returns:
      bool `[N]`.
    """
    return (jnp.argmax(scores, axis=-1) == labels) & ~jnp.any(jnp.isnan(scores), axis=-1)


def class_counts(scores: Array, labels: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Correct and all examples of every class, in weights; add them up over chunks before dividing.

    Args:
      scores: `[N, C]`.
      labels: int `[N]`.
      weights: `[N]`, for example 0 for padding; None counts every example once.

    Returns:
      Two float arrays `[C]`.
    """
    weights = jnp.ones(labels.shape, jnp.float32) if weights is None else weights.astype(jnp.float32)
    members = jax.nn.one_hot(labels, scores.shape[-1], dtype=jnp.float32) * weights[:, None]
    return jnp.where(correct(scores, labels)[:, None], members, 0.0).sum(axis=0), members.sum(axis=0)


def accuracy_from_counts(hits: Array, totals: Array) -> Array:
    """Share of correct examples, a scalar; 0 when there are none."""
    return hits.sum() / jnp.maximum(totals.sum(), jnp.finfo(totals.dtype).tiny)


def mean_class_accuracy_from_counts(hits: Array, totals: Array) -> Array:
    """Mean of the classes' accuracies over the classes that have examples, a scalar."""
    present = totals > 0
    shares = jnp.where(present, hits / jnp.where(present, totals, 1.0), 0.0)
    return shares.sum() / jnp.maximum(present.sum(), 1)


def accuracy(scores: Array, labels: Array) -> Array:
    """Share of the examples that are correct, see `correct`.

    Args:
      scores: `[N, C]`, logits or probabilities.
      labels: int `[N]`.

    Returns:
      A scalar in [0, 1].
    """
    return accuracy_from_counts(*class_counts(scores, labels))


def mean_class_accuracy(scores: Array, labels: Array) -> Array:
    """The balanced accuracy: mean of the classes' accuracies, in which a rare class counts as much as a frequent one.

    Classes without examples are left out; arguments as of `accuracy`.
    """
    return mean_class_accuracy_from_counts(*class_counts(scores, labels))


def worst_class_accuracy(scores: Array, labels: Array) -> Array:
    """The lowest of the classes' accuracies; classes without examples are left out, arguments as of `accuracy`."""
    hits, totals = class_counts(scores, labels)
    shares = jnp.where(totals > 0, hits / jnp.maximum(totals, 1), 1.0)
    return jnp.where(totals.sum() > 0, shares.min(), 0.0)


def macro_f1(scores: Array, labels: Array) -> Array:
    """Mean of the classes' F1 scores, `2 TP / (2 TP + FP + FN)`; arguments as of `accuracy`.

    Classes without examples are left out: what is taken for one of them is missing from its own class. A row with NaN is taken
    for no class at all.
    """
    hits, totals = class_counts(scores, labels)
    known = ~jnp.any(jnp.isnan(scores), axis=-1)
    taken = (jax.nn.one_hot(jnp.argmax(scores, axis=-1), scores.shape[-1], dtype=jnp.float32) * known[:, None]).sum(axis=0)
    shares = jnp.where(totals > 0, 2 * hits / jnp.maximum(totals + taken, 1), 0.0)
    return shares.sum() / jnp.maximum((totals > 0).sum(), 1)
