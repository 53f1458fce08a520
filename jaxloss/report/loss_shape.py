"""What a loss does to one prediction: its value and its pull on the network, in a row of two classes.

The row is `(p, 1 - p)`, the softmax of two logits, a batch of its own: aggregations over classes see both elements, those
over samples and positions see this one sample.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, LossInputs
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.formula import parse
from jaxloss.systems.operator_sets import OPERATOR_SETS

CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"
Loss = Callable[[LossInputs], Array]
_INPUTS = ("prediction", "target")
_NUM_POINTS = 121
_NOISE = 3e-6  # of the largest value, in float32


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


def loss_shapes(formulas: Sequence[str], operators: str) -> list[LossShape | None]:
    """The curves of each formula of one branch over `prediction` and `target`; None for any other.

    Args:
      formulas: text forms.
      operators: name of the operator set.
    """
    losses = {formula: _compile(formula, operators) for formula in formulas}
    drawable = {formula: loss for formula, loss in losses.items() if loss is not None}
    prediction = np.linspace(0.005, 0.995, _NUM_POINTS)
    logits = jnp.asarray(np.log(prediction / (1 - prediction)), jnp.float32)
    # One compilation for all: it costs more than everything else here.
    curves = jax.jit(lambda x: {formula: _curves(loss, x) for formula, loss in drawable.items()})(logits)
    return [_shape(prediction, *map(np.asarray, curves[formula])) if formula in curves else None for formula in formulas]


def _compile(formula: str, operators: str) -> Loss | None:
    try:
        graph = parse(formula, OPERATOR_SETS[operators], _INPUTS)
    except (KeyError, UserError):
        return None
    return compile_graph(graph, OPERATOR_SETS[operators])


def _curves(loss: Loss, logits: Array) -> tuple[Array, Array, Array, Array, Array]:
    """The two values, the two gradients, and the slope of the row's loss at each logit of the first class."""

    def softmax(logit: Array) -> Array:
        return jax.nn.softmax(jnp.stack([logit, jnp.zeros_like(logit)]))

    def values_at(prediction: Array, target: Array) -> Array:
        arrays = {"prediction": prediction, "target": target}
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
