"""How losses over prediction and target are drawn: what a loss does to one prediction, in a row of two classes.

The row is `(p, 1 - p)`, the softmax of two logits, a batch of its own: aggregations over classes see both elements, those
over samples and positions see this one sample. A loss that reads the prior sees two classes that are equally frequent.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.base import Candidate, Space
from jaxloss.spaces.drawing import OTHER, OWN, REFERENCE, WHOLE, Drawing, Line, Panel, Reference

_PRIOR = "prior"
INPUTS = ("prediction", "target", _PRIOR)
CROSS_ENTROPY = Reference("Neg(Mul(target, Log(prediction)))", "Cross-entropy, for reference", r"-y \log\left(\hat{y}\right)")

Loss = Callable[[LossInputs], Array]
_NUM_POINTS = 121
_NOISE = 3e-6  # of the largest value, in float32
_TICKS = (0.0, 0.5, 1.0)
_NOTE = (
    "ŷ is the prediction, y the target, ε = 10<sup>−12</sup>. The curves are drawn over the probability of one class in a row "
    "of two, <i>(p, 1 − p)</i>, a batch of its own: means over classes see both elements, means over samples only this one. "
    "Left: the loss of that element where it is the right class (target 1) and where it is the wrong one (target 0). Middle: "
    "the derivative of the loss of the row with respect to that prediction. Right: the descent direction of the logit of the "
    "right class, whose probability is <i>p</i>, divided by its largest magnitude: scale is the learning rate's business. Poles "
    "are cut off."
)
_NOTE_ON_PRIOR = " Both classes are drawn as equally frequent: their prior π is 1/2."


@dataclasses.dataclass(frozen=True)
class LossShape:
    """Curves over the prediction of one class.

    Attributes:
      prediction: `[K]` the probability `p` of the class.
      value_right: `[K]` the loss of its element where it is the right class (target 1).
      value_wrong: `[K]` the same where it is the wrong class (target 0).
      gradient_right: `[K]` derivative of the loss of the row with respect to this prediction, target 1.
      gradient_wrong: `[K]` the same with target 0.
      pull: `[K]` minus the derivative of the loss of the row with respect to the logit of the right class, by its `p`;
        divided by the largest magnitude, as a learning rate would. Zeros where no gradient flows.
    """

    prediction: np.ndarray
    value_right: np.ndarray
    value_wrong: np.ndarray
    gradient_right: np.ndarray
    gradient_wrong: np.ndarray
    pull: np.ndarray


def cross_entropy(inputs: LossInputs) -> Array:
    """The reference, `[N, H, W, C]`."""
    return -inputs.arrays["target"] * jnp.log(inputs.arrays["prediction"])


def can_draw(space: Space) -> bool:
    """Whether the losses of a space have one branch over prediction and target, and perhaps the prior."""
    return len(space.branches) == 1 and set(space.branches[0].form.inputs) <= set(INPUTS)


def drawing_of(space: Space) -> Drawing | None:
    """How the losses of a space are drawn, or None where they cannot be."""
    if not can_draw(space):
        return None
    reads_prior = _PRIOR in space.branches[0].form.inputs
    return dataclasses.replace(DRAWING, note=_NOTE + _NOTE_ON_PRIOR) if reads_prior else DRAWING


def loss_shapes(losses: Sequence[Loss]) -> list[LossShape]:
    """The curves of each loss over `prediction` and `target`."""
    prediction = np.linspace(0.005, 0.995, _NUM_POINTS)
    logits = jnp.asarray(np.log(prediction / (1 - prediction)), jnp.float32)
    # One compilation for all: it costs more than everything else here.
    curves = jax.jit(lambda x: [_curves(loss, x) for loss in losses])(logits)
    return [_shape(prediction, *map(np.asarray, found)) for found in curves]


def _draw(space: Space, candidates: Sequence[Candidate]) -> tuple[list[tuple[Panel, ...]], list[tuple[Panel, ...]]]:
    (branch,) = space.branches
    losses = [branch.form.compile(candidate[branch.name]) for candidate in candidates]
    reference, *shapes = loss_shapes([cross_entropy, *losses])
    dotted = Line(reference.pull, REFERENCE)
    return [_panels(reference, "", dotted)], [_panels(shape, "; dotted: cross-entropy", dotted) for shape in shapes]


DRAWING = Drawing(_draw, (CROSS_ENTROPY,), _NOTE, most=3)


def _panels(shape: LossShape, note: str, reference: Line) -> tuple[Panel, ...]:
    """The value of a loss, its gradient and its pull on the logit of the right class, each against the prediction."""

    def two_classes(name: str, right: np.ndarray, wrong: np.ndarray) -> Panel:
        """One curve for target 1 and one for target 0."""
        caption = ((f"{name}: ", ""), ("target 1", OWN), (", ", ""), ("target 0", OTHER))
        lines = (Line(wrong, OTHER), Line(right, OWN))
        return Panel(name, f"{name.capitalize()} of {{}} by prediction", caption, shape.prediction, _TICKS, lines)

    low = min(0.0, float(np.nanmin(shape.pull)))
    pull = Panel(
        "pull",
        "Pull of {} by prediction",
        ((f"pull on the right logit{note}", ""),),
        shape.prediction,
        _TICKS,
        (reference, Line(shape.pull, WHOLE)),
        zero_line=True,
        limits=(1.1 * low - 0.05, 1.12),
        value_ticks=(-1.0, -0.5, 0.0, 0.5, 1.0),
    )
    return (
        two_classes("value", shape.value_right, shape.value_wrong),
        two_classes("gradient", shape.gradient_right, shape.gradient_wrong),
        pull,
    )


def _curves(loss: Loss, logits: Array) -> tuple[Array, Array, Array, Array, Array]:
    """The two values, the two gradients, and the slope of the row's loss at each logit of the first class."""

    def softmax(logit: Array) -> Array:
        return jax.nn.softmax(jnp.stack([logit, jnp.zeros_like(logit)]))

    def values_at(prediction: Array, target: Array) -> Array:
        arrays = {"prediction": prediction, "target": target, _PRIOR: jnp.full_like(prediction, 0.5)}
        inputs = LossInputs.create({name: values.reshape(1, 1, 1, 2) for name, values in arrays.items()})
        return jnp.broadcast_to(loss(inputs), (1, 1, 1, 2)).reshape(2)

    right, wrong = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
    rows = jax.vmap(softmax)(logits)
    values = jax.vmap(values_at, (0, None))
    gradients = jax.vmap(jax.grad(lambda row, target: values_at(row, target).sum()), (0, None))
    slope = jax.vmap(jax.grad(lambda logit: values_at(softmax(logit), right).sum()))
    return (
        values(rows, right)[:, 0],
        values(rows, wrong)[:, 0],
        gradients(rows, right)[:, 0],
        gradients(rows, wrong)[:, 0],
        slope(logits),
    )


def _shape(
    prediction: np.ndarray,
    value_right: np.ndarray,
    value_wrong: np.ndarray,
    gradient_right: np.ndarray,
    gradient_wrong: np.ndarray,
    slope: np.ndarray,
) -> LossShape:
    pull = np.where(np.isfinite(slope), -slope, np.nan)
    largest = np.nanmax(np.abs(pull)) if np.isfinite(pull).any() else 0.0
    # What a softmax cancels, the mean over classes for one, leaves rounding errors that must not fill the picture.
    values = np.concatenate([value_right, value_wrong])
    noise = _NOISE * np.max(np.abs(values), where=np.isfinite(values), initial=0.0)
    pull = pull / largest if largest > noise else np.zeros_like(pull)
    return LossShape(prediction, value_right, value_wrong, gradient_right, gradient_wrong, pull)
