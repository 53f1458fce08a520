"""Classes of pixels: those that a network predicts, those that are true, and sets of classes as bits."""

import functools

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array

# The label of what belongs to no class and counts nowhere.
VOID = 255
_BITS = 32


def check_num_classes(num_classes: int) -> None:
    """Refuses numbers of classes that labels cannot tell from void.

    Raises:
      UserError: unless there are 2 to 255 classes.
    """
    if not 2 <= num_classes <= VOID:
        raise UserError(f"num_classes of a segmentation is 2 to {VOID}, since {VOID} is the label of void, not {num_classes}")


def true_classes(labels: Array, num_classes: int, mask: Array | None = None) -> Array:
    """True labels with one number for all that is void: `num_classes`.

    Args:
      labels: int `[N, H, W]`; `VOID` and whatever else is no class are void.
      num_classes: `C`.
      mask: bool `[N, H, W]` or `[N, H, W, 1]`, False for what is void beside that; None for nothing.

    Returns:
      int32 `[N, H, W]` from 0 to C.

    Raises:
      UserError: for labels of other shapes, or that are no integers.
    """
    if labels.ndim != 3 or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise UserError(f"true labels are to be integers [N, H, W], not {labels.dtype} {list(labels.shape)}")
    valid = _is_class(labels, num_classes)
    if mask is not None:
        valid &= mask.reshape(labels.shape)
    return jnp.where(valid, labels, num_classes).astype(jnp.int32)


def predicted_classes(predictions: Array, num_classes: int) -> Array:
    """The predicted class of each position; `num_classes` where there is none.

    Of equal scores the first counts. A position with NaN is of no class, which is always wrong: else a network that has broken
    down would score the share of class 0, since NaN wins every argmax.

    Args:
      predictions: probabilities or logits `[N, H, W, C]`, or classes, int `[N, H, W]`.
      num_classes: `C`.

    Returns:
      int32 `[N, H, W]` from 0 to C.

    Raises:
      UserError: for predictions of other shapes.
    """
    if predictions.ndim == 3 and jnp.issubdtype(predictions.dtype, jnp.integer):
        return jnp.where(_is_class(predictions, num_classes), predictions, num_classes).astype(jnp.int32)
    if predictions.ndim != 4 or predictions.shape[-1] != num_classes:
        raise UserError(
            f"predictions of {num_classes} classes are to be numbers [N, H, W, {num_classes}] or integers [N, H, W], not "
            f"{predictions.dtype} {list(predictions.shape)}"
        )
    largest = jnp.argmax(predictions, axis=-1).astype(jnp.int32)
    return jnp.where(jnp.isnan(predictions).any(axis=-1), num_classes, largest)


@functools.partial(jax.jit, static_argnames="num_classes")
def class_bits(classes: Array, chosen: Array, num_classes: int) -> Array:
    """Each chosen position as the set of its class alone: one bit of 32 in `ceil(C / 32)` words.

    What is done to the words, such as a search of a window, is done to all classes at once.

    Args:
      classes: int `[N, H, W]`, below `num_classes` where chosen.
      chosen: bool `[N, H, W]`; elsewhere the set is empty.
      num_classes: `C`.

    Returns:
      uint32 `[N, H, W, ceil(C / 32)]`.
    """
    words = jnp.arange(-(-num_classes // _BITS))
    here = chosen[..., None] & (classes[..., None] // _BITS == words)
    return jnp.where(here, jnp.left_shift(jnp.uint32(1), (classes % _BITS).astype(jnp.uint32))[..., None], 0)


@jax.jit
def has_class(bits: Array, classes: Array) -> Array:
    """Whether the set at a position holds the class at that position, bool `[N, H, W]`.

    Args:
      bits: uint32 `[N, H, W, ceil(C / 32)]`, see `class_bits`.
      classes: int `[N, H, W]`; the answer for what is no class means nothing.
    """
    here = classes[..., None] // _BITS == jnp.arange(bits.shape[-1])
    word = jnp.where(here, bits, 0).sum(axis=-1, dtype=jnp.uint32)
    return jnp.right_shift(word, (classes % _BITS).astype(jnp.uint32)) % 2 == 1


@functools.partial(jax.jit, static_argnames="num_classes")
def count_classes(classes: Array, chosen: Array, num_classes: int) -> Array:
    """How many chosen positions of each sample belong to each class, int32 `[N, C]`.

    Args:
      classes: int `[N, H, W]` from 0 to `C`; `C` counts nowhere.
      chosen: bool `[N, H, W]`.
      num_classes: `C`.
    """
    num_samples = len(classes)
    # Added one by one: a quarter of the time that sums of comparisons with every class take on a CPU.
    counts = jnp.zeros((num_samples, num_classes + 1), jnp.int32)
    counts = counts.at[jnp.arange(num_samples)[:, None, None], jnp.where(chosen, classes, num_classes)].add(1)
    return counts[:, :num_classes]


def _is_class(labels: Array, num_classes: int) -> Array:
    return (labels >= 0) & (labels < num_classes)
