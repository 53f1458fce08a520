"""The two curves of a margin-based softmax loss, as AutoLoss-GMS draws them (supplement, Figure 4), and their slopes."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, LossInputs
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.form import split_parts
from jaxloss.graphs.formula import parse
from jaxloss.systems.operator_sets import OPERATOR_SETS

_NUM_POINTS = 161
_INPUT = "x"
_PARTS = {"t": "FORMULA", "n": "FORMULA", "log2_s": "NUMBER"}

# Drawn beside the found losses.
REFERENCES = {
    "normalised softmax": "t: x | n: x | log2_s: 4",
    "CosFace, m = 0.35": "t: Minus(x, 0.35) | n: x | log2_s: 5",
    "ArcFace, m = 0.5, unguarded": "t: Cos(Add(Arccos(x), 0.5)) | n: x | log2_s: 5",
    "Circle, m = 0.25": (
        "t: Mul(Detach(Relu(Minus(1.25, x))), Minus(x, 0.75)) | n: Mul(Detach(Relu(Add(x, 0.25))), Minus(x, 0.25)) | log2_s: 6"
    ),
}


@dataclasses.dataclass(frozen=True)
class CurveShape:
    """Curves over the cosine.

    Attributes:
      cosine: `[K]`, inside (-1, 1).
      own: `[K]`, `t`.
      other: `[K]`, `n`.
      own_slope: `[K]`, the derivative of `t` that trains: nothing flows through a Detach.
      other_slope: `[K]`, likewise of `n`.
    """

    cosine: np.ndarray
    own: np.ndarray
    other: np.ndarray
    own_slope: np.ndarray
    other_slope: np.ndarray


def is_margin_loss(formula: str) -> bool:
    """Whether a formula has the form of a margin-based softmax loss."""
    try:
        split_parts(formula, _PARTS, "a loss")
    except UserError:
        return False
    return True


def curve_shapes(formulas: Sequence[str], operators: str) -> list[CurveShape | None]:
    """The curves of each formula; None where it cannot be read.

    Args:
      formulas: text forms, `t: FORMULA | n: FORMULA | log2_s: NUMBER`.
      operators: name of the operator set.
    """
    cosine = np.linspace(-0.999, 0.999, _NUM_POINTS)
    pairs = {formula: _parse(formula, operators) for formula in formulas}

    def sample(graph, points: Array) -> tuple[Array, Array]:
        curve = compile_graph(graph, OPERATOR_SETS[operators])

        def values(x: Array) -> Array:
            result = curve(LossInputs.create({_INPUT: x.reshape(-1, 1, 1, 1)}))
            return jnp.broadcast_to(result.reshape(-1), x.shape)

        return values(points), jax.grad(lambda x: values(x).sum())(points)

    def everything(points: Array):
        return {formula: [sample(graph, points) for graph in pair] for formula, pair in pairs.items() if pair}

    # One compilation for all: it costs more than everything else here.
    found = jax.device_get(jax.jit(everything)(jnp.asarray(cosine, jnp.float32)))
    return [_shape(cosine, found[formula]) if formula in found else None for formula in formulas]


def _parse(formula: str, operators: str):
    try:
        parts = split_parts(formula, _PARTS, "a loss")
        return [parse(parts[name], OPERATOR_SETS[operators], (_INPUT,)) for name in ("t", "n")]
    except (KeyError, UserError):
        return None


def _shape(cosine: np.ndarray, curves) -> CurveShape:
    (own, own_slope), (other, other_slope) = curves
    return CurveShape(cosine, own, other, own_slope, other_slope)
