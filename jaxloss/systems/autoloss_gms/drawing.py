"""The two curves of a margin-based softmax loss, as the paper draws them (supplement, Figure 4), and their slopes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.form import split_parts
from jaxloss.core.types import Array, LossInputs
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.formula import parse
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.operators.operator import OperatorSet
from jaxloss.spaces.base import Candidate, Space
from jaxloss.spaces.drawing import OTHER, OWN, Drawing, Line, Panel, Reference
from jaxloss.systems.autoloss_gms.form import CURVE_INPUT, LOG2_SCALE
from jaxloss.systems.autoloss_gms.form import OTHER as N
from jaxloss.systems.autoloss_gms.form import OWN as T

_NUM_POINTS = 161
_TICKS = (-1.0, 0.0, 1.0)

REFERENCES = (
    Reference("t: x | n: x | log2_s: 4", "normalised softmax, for reference"),
    Reference("t: Minus(x, 0.35) | n: x | log2_s: 5", "CosFace, m = 0.35, for reference"),
    Reference("t: Cos(Add(Arccos(x), 0.5)) | n: x | log2_s: 5", "ArcFace, m = 0.5, unguarded, for reference"),
    Reference(
        "t: Mul(Detach(Relu(Minus(1.25, x))), Minus(x, 0.75)) | n: Mul(Detach(Relu(Add(x, 0.25))), Minus(x, 0.25)) | log2_s: 6",
        "Circle, m = 0.25, for reference",
    ),
)
_NOTE = (
    "The loss of a sample is −log of the softmax of <i>s·t(cos)</i> for its own class and <i>s·n(cos)</i> for all others. Left: "
    "the two curves over the cosine. Right: the slopes that train; nothing flows through <i>detach</i>, so that they need not be "
    "those of the curves. Poles are cut off."
)


def draw_curves(space: Space, candidates: Sequence[Candidate]) -> tuple[list[tuple[Panel, Panel]], list[tuple[Panel, Panel]]]:
    """The panels of the references and of the candidates, of a space with one branch whose form has two curves."""
    (branch,) = space.branches
    operators = branch.form.layout.operators
    pairs = [_reference_curves(one, operators) for one in REFERENCES]
    pairs += [branch.form.curves(candidate[branch.name]) for candidate in candidates]
    drawn = [_panels(*curves) for curves in _sample(pairs, operators)]
    return drawn[: len(REFERENCES)], drawn[len(REFERENCES) :]


DRAWING = Drawing(draw_curves, REFERENCES, _NOTE, most=8)


def _cosine() -> np.ndarray:
    return np.linspace(-0.999, 0.999, _NUM_POINTS)


def _reference_curves(reference: Reference, operators: OperatorSet) -> tuple[Graph, Graph]:
    # Not by the form, whose graphs may be too small for them.
    parts = split_parts(reference.formula, dict.fromkeys((T, N, LOG2_SCALE), ""), reference.note)
    own, other = (parse(parts[name], operators, (CURVE_INPUT,)) for name in (T, N))
    return own, other


def _sample(pairs: Sequence[tuple[Graph, Graph]], operators: OperatorSet) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """(values, slopes that train) of both curves of each loss, over the cosine."""

    def sample(graph: Graph, points: Array) -> tuple[Array, Array]:
        curve = compile_graph(graph, operators)

        def values(x: Array) -> Array:
            result = curve(LossInputs.create({CURVE_INPUT: x.reshape(-1, 1, 1, 1)}))
            return jnp.broadcast_to(result.reshape(-1), x.shape)

        return values(points), jax.grad(lambda x: values(x).sum())(points)

    # One compilation for all: it costs more than everything else here.
    everything = jax.jit(lambda points: [[sample(graph, points) for graph in pair] for pair in pairs])
    return jax.device_get(everything(jnp.asarray(_cosine(), jnp.float32)))


def _panels(own: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> tuple[Panel, Panel]:
    captions = (
        (("curves: ", ""), ("t, own", OWN), (", ", ""), ("n, others", OTHER)),
        (("slopes: ", ""), ("t′", OWN), (", ", ""), ("n′", OTHER)),
    )
    curves, slopes = (
        Panel(
            name,
            f"{name.capitalize()} t and n of {{}} by cosine",
            caption,
            _cosine(),
            _TICKS,
            (Line(of_other, OTHER), Line(of_own, OWN)),
            zero_line=True,
        )
        for name, caption, of_own, of_other in zip(("curves", "slopes"), captions, own, other, strict=True)
    )
    return curves, slopes
