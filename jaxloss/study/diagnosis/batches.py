"""What a loss does to whole batches of a task's made-up outputs: beside cross-entropy, and when batch or classes double."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.family import BranchInputs
from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.study.diagnosis.axes import PROBABILITY, Axis
from jaxloss.study.diagnosis.sweep import Loss, compiled

_TINY = 1e-12
# What is left of a gradient that a softmax cancels is rounding, which points anywhere.
ROUNDING = 1e-12
# Arrays that a made-up row of more classes can be given.
_KNOWN = {"prediction", "target", "logits", "prior"}
_PROBABILITIES = np.linspace(0.05, 0.95, 19)


@dataclasses.dataclass(frozen=True)
class OnSamples:
    """Gradients of a loss at the outputs of a network, sample by sample of all batches, `[M]`.

    Attributes:
      right: mean probability of the true class.
      ratio: norm of the gradient over that of cross-entropy's; NaN where cross-entropy has none.
      agreement: cosine between the two gradients: below 0 a step of the loss makes the true class less probable.
      finite: whether the gradient is.
    """

    right: np.ndarray
    ratio: np.ndarray
    agreement: np.ndarray
    finite: np.ndarray


@dataclasses.dataclass(frozen=True)
class Scale:
    """By what a loss is multiplied when its surroundings change; NaN where that cannot be tried.

    Attributes:
      batch_value: its value, when every sample of the batch stands in it twice.
      batch_gradient: the gradient of a sample, in its share of the mean, at the same.
      others: by how much of itself the gradient of a sample changes, in the median, when other samples double the batch in place
        of copies: 0 for a loss that does not look across.
      classes_value: its value, when there are twice as many classes and the wrong ones share what they had.
      classes_gradient: its derivative with respect to the logit of the true class, at the same.
    """

    batch_value: float = math.nan
    batch_gradient: float = math.nan
    others: float = math.nan
    classes_value: float = math.nan
    classes_gradient: float = math.nan


def cross_entropy(axis: Axis) -> Loss:
    """The mean over positions of the cross-entropy of a branch, that of each class alone where classes are independent."""

    def loss(inputs: BranchInputs) -> Array:
        own = inputs[axis.branch]
        prediction, target = own.arrays["prediction"], own.arrays["target"]
        values = -target * jnp.log(jnp.maximum(prediction, _TINY))
        if axis.independent:
            values -= (1 - target) * jnp.log(jnp.maximum(1 - prediction, _TINY))
        return mean_loss(values, own)

    return loss


def on_samples(loss: Loss, samples: OutputSamples, axis: Axis) -> OnSamples:
    """The gradients of a loss over probabilities beside cross-entropy's; to be called within `float64_on_cpu`."""

    def of_batch(outputs: PyTree, context: PyTree) -> tuple[Array, ...]:
        own, reference = (_rows(jax.grad(lambda o, f=f: f(samples.inputs(o, context)))(outputs)) for f in losses)
        sizes = [jnp.sqrt(jnp.sum(one**2, axis=-1)) for one in (own, reference)]
        ratio = jnp.where(sizes[1] > 0, sizes[0] / sizes[1], jnp.nan)
        agreement = jnp.sum(own * reference, axis=-1) / jnp.maximum(sizes[0] * sizes[1], 1e-300)
        return _right(samples.inputs(outputs, context)[axis.branch], len(ratio)), ratio, agreement, jnp.isfinite(sizes[0])

    losses = (loss, cross_entropy(axis))
    found = compiled(jax.vmap(of_batch))(samples.outputs, samples.context)
    return OnSamples(*(np.asarray(one).reshape(-1) for one in found))


def _rows(tree: PyTree) -> Array:
    """Gradients by outputs, `[N, F]`."""
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(tree)], axis=-1)


def _right(own: LossInputs, num_samples: int) -> Array:
    """Mean probability of the true class over the valid positions of each sample, `[N]`."""
    target = own.arrays["target"]
    counted = (own.mask & (target.sum(axis=-1, keepdims=True) > 0)).reshape(num_samples, -1)
    right = jnp.sum(own.arrays["prediction"] * target, axis=-1).reshape(num_samples, -1)
    return jnp.sum(jnp.where(counted, right, 0), axis=-1) / jnp.maximum(counted.sum(axis=-1), 1)


def scale(loss: Loss, samples: OutputSamples, inputs: BranchInputs, axes: Sequence[Axis]) -> Scale:
    """How value and gradient depend on the size of the batch and on the number of classes.

    Args:
      loss: of a mean over positions; where it depends on sizes that its arrays do not show, nothing of it is said.
      samples: of the task.
      inputs: of one batch of them.
      axes: of its branches.
    """
    return Scale(*_when_the_batch_doubles(loss, samples), *_when_classes_double(loss, inputs, axes))


def _when_the_batch_doubles(loss: Loss, samples: OutputSamples) -> tuple[float, float, float]:
    outputs, context = samples.outputs, samples.context
    num_batches, num_samples = jax.tree.leaves(outputs)[0].shape[:2]
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves((outputs, context))]
    if num_batches < 2 or any(len(shape) < 2 or shape[1] != num_samples for shape in shapes):
        return math.nan, math.nan, math.nan  # something belongs to the batch as a whole

    def at(outputs: PyTree, context: PyTree) -> tuple[Array, Array]:
        value, gradient = jax.value_and_grad(lambda one: loss(samples.inputs(one, context)))(outputs)
        return value, _rows(gradient)

    def both(outputs: PyTree, context: PyTree) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        # Batches of several kinds of predictions are at the end.
        own, other = (jax.tree.map(lambda leaf, i=i: leaf[i], (outputs, context)) for i in (num_batches // 2, -1))
        twice, mixed = (jax.tree.map(lambda *pair: jnp.concatenate(pair), own, one) for one in (own, other))
        doubled = jax.lax.map(lambda one: at(*one), jax.tree.map(lambda *pair: jnp.stack(pair), twice, mixed))
        return at(*own), doubled

    (value, alone), ((value_twice, _), doubled) = jax.tree.map(np.asarray, compiled(both)(outputs, context))
    twice, mixed = 2 * doubled[:, :num_samples]
    with np.errstate(all="ignore"):
        sizes = np.linalg.norm(twice, axis=-1)
        sizes = np.where(sizes > ROUNDING, sizes, np.nan)
        change = np.linalg.norm(mixed - twice, axis=-1) / sizes
        return float(value_twice / value), _median(sizes / np.linalg.norm(alone, axis=-1)), _median(change)


def _when_classes_double(loss: Loss, inputs: BranchInputs, axes: Sequence[Axis]) -> tuple[float, float]:
    """Over rows that are all made up: the true class at many probabilities, all others alike."""
    axis = axes[0] if len(axes) == len(inputs) == 1 else None
    if axis is None or axis.kind != PROBABILITY or axis.independent:
        return math.nan, math.nan
    arrays = inputs[axis.branch].arrays
    if not arrays.keys() <= _KNOWN:
        return math.nan, math.nan
    num_classes = arrays["target"].shape[-1]

    def at(classes: int) -> tuple[Array, Array]:
        labels = jnp.arange(len(_PROBABILITIES)) % num_classes
        target = jax.nn.one_hot(labels, classes, dtype=jnp.float64)
        others = (1 - _PROBABILITIES)[:, None] / (classes - 1)
        logits = jnp.log(jnp.where(target > 0, _PROBABILITIES[:, None], others))

        def value(logits: Array) -> Array:
            given = {"prediction": jax.nn.softmax(logits), "target": target, "logits": logits}
            given["prior"] = jnp.full_like(target, 1 / classes)
            rows = {name: given[name][:, None, None, :] for name in arrays}
            return loss({axis.branch: LossInputs.create(rows)})

        whole, gradient = jax.value_and_grad(value)(logits)
        return whole, jnp.sum(gradient * target, axis=-1)

    (value, slope), (more_value, more_slope) = compiled(lambda: (at(num_classes), at(2 * num_classes)))()
    with np.errstate(all="ignore"):
        return float(np.asarray(more_value) / np.asarray(value)), _median(np.asarray(more_slope) / np.asarray(slope))


def _median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else math.nan


def batch_inputs(samples: OutputSamples) -> tuple[OutputSamples, Mapping[str, LossInputs]]:
    """The samples in float64, and the inputs of one batch of them that holds predictions of all kinds.

    To be called within `float64_on_cpu`.
    """

    def wide(leaf: Array) -> np.ndarray:
        leaf = np.asarray(leaf)
        return leaf.astype(np.float64) if np.issubdtype(leaf.dtype, np.floating) else leaf

    outputs, context = jax.tree.map(wide, (samples.outputs, samples.context))
    middle = jax.tree.leaves(outputs)[0].shape[0] // 2
    one = jax.tree.map(lambda leaf: leaf[middle], (outputs, context))
    return dataclasses.replace(samples, outputs=outputs, context=context), samples.inputs(*one)
