"""Average precision of one image whose boxes are known: what its scores alone are worth, inside jit."""

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array


def ranking_precision(scores: Array, labels: Array, index: Array, counted: Array, num_boxes: int) -> Array:
    """Mean over the classes of the average precision when every positive location predicts its true box.

    Suppression then leaves the surest location of every object, for each class by itself; that is right where the object is of
    the class. Every location of the background predicts a box that overlaps nothing. Of equal scores the wrong ones stand first:
    a network that says the same everywhere knows nothing. Precision is the highest at the same or a higher recall, at every
    object that is found.

    Args:
      scores: float `[L, C]`; what is not a number comes last.
      labels: int32 `[L]`, -1 for background.
      index: int32 `[L]`, the object of a positive location, below `num_boxes`, or -1.
      counted: bool `[L]`, False for locations that count neither way.
      num_boxes: `K` (static).

    Returns:
      A number from 0 to 1; 0 without objects.
    """
    scores = jnp.where(jnp.isnan(scores), -jnp.inf, scores)
    positive = index >= 0
    groups = jnp.where(positive, index, num_boxes)
    classes = jnp.full(num_boxes, -1).at[groups].max(labels, mode="drop")
    best = jnp.full((num_boxes, scores.shape[1]), -jnp.inf).at[groups].max(scores, mode="drop")

    def of_class(own: Array, of_objects: Array, number: Array) -> tuple[Array, Array]:
        is_background = ~positive & counted
        values = jnp.concatenate([jnp.where(is_background, own, -jnp.inf), of_objects])
        right = jnp.concatenate([jnp.zeros(len(own), bool), classes == number])
        there = jnp.concatenate([is_background, classes >= 0])
        # By falling score; wrong ones first, and what is no detection last of all.
        order = jnp.lexsort((right, -values, ~there))
        right, there = right[order], there[order]
        precision = jnp.cumsum(right) / jnp.maximum(jnp.cumsum(there), 1)
        envelope = jax.lax.cummax(precision, reverse=True)
        total = jnp.sum(right)
        return jnp.sum(jnp.where(right, envelope, 0)) / jnp.maximum(total, 1), total > 0

    values, present = jax.vmap(of_class, in_axes=(1, 1, 0))(scores, best, jnp.arange(scores.shape[1]))
    return jnp.sum(jnp.where(present, values, 0)) / jnp.maximum(jnp.sum(present), 1)
