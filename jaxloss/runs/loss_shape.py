"""What a loss does to one prediction: its value and its pull on the network, in a row of two classes.

The row is `(p, 1 - p)`, the softmax of two logits, a batch of its own: aggregations over classes see both elements, those
over samples and positions see this one sample.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.compile import compile_graph
from jaxloss.core.errors import UserError
from jaxloss.core.graph import parse
from jaxloss.core.primitives import OPERATOR_SETS
from jaxloss.core.types import Array, LossInputs

CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"
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
      pull: `[K]` minus the derivative of the loss of the row with respect to the logit of the right class, by its `p`;
        divided by the largest magnitude, as a learning rate would. Zeros where no gradient flows.
    """

    prediction: np.ndarray
    value_right: np.ndarray
    value_wrong: np.ndarray
    pull: np.ndarray


def loss_shape(formula: str, operators: str) -> LossShape | None:
    """The curves of a formula of one branch over `prediction` and `target`; None for any other.

    Args:
      formula: text form.
      operators: name of the operator set.
    """
    if operators not in OPERATOR_SETS:
        return None
    try:
        graph = parse(formula, OPERATOR_SETS[operators], _INPUTS)
    except UserError:
        return None
    loss = compile_graph(graph, OPERATOR_SETS[operators])

    def row_values(logit: Array, target: Array) -> Array:
        prediction = jax.nn.softmax(jnp.stack([logit, jnp.zeros_like(logit)]))
        row = {"prediction": prediction, "target": target.astype(prediction.dtype)}
        inputs = LossInputs.create({name: values.reshape(1, 1, 1, 2) for name, values in row.items()})
        return jnp.broadcast_to(loss(inputs), (1, 1, 1, 2)).reshape(2)

    @jax.jit
    def curves(logits: Array) -> tuple[Array, Array, Array]:
        right, wrong = jnp.array([1, 0]), jnp.array([0, 1])
        first = jax.vmap(row_values, (0, None))
        slope = jax.vmap(jax.grad(lambda logit: row_values(logit, right).sum()))
        return first(logits, right)[:, 0], first(logits, wrong)[:, 0], slope(logits)

    prediction = np.linspace(0.005, 0.995, _NUM_POINTS, dtype=np.float32)
    value_right, value_wrong, slope = map(np.asarray, curves(jnp.log(prediction) - jnp.log1p(-prediction)))
    pull = np.where(np.isfinite(slope), -slope, np.nan)
    largest = np.nanmax(np.abs(pull)) if np.isfinite(pull).any() else 0.0
    # What a softmax cancels, the mean over classes for one, leaves rounding errors that must not fill the picture.
    values = np.concatenate([value_right, value_wrong])
    noise = _NOISE * np.max(np.abs(values), where=np.isfinite(values), initial=0.0)
    return LossShape(prediction, value_right, value_wrong, pull / largest if largest > noise else np.zeros_like(pull))
