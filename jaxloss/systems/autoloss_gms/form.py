"""The generalised margin-based softmax loss: two searched curves over a cosine, and a scale, see `spaces.margin_softmax`.

H. Gu et al.: Searching Generalized Margin-based Softmax Loss Function for Person Re-identification, CVPR 2022; the pair-wise form
is Eq. 20 of the supplement.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.form import Form, read_number, shortened, split_parts
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.form import parse_fitting
from jaxloss.graphs.graph import Graph, Node
from jaxloss.graphs.interpret import interpret
from jaxloss.graphs.program import Layout, encode
from jaxloss.graphs.smaller import smaller_graphs
from jaxloss.graphs.terms import without_terms
from jaxloss.spaces.margin_softmax import INPUTS, LOG2_SCALE, margin_softmax

# The input of both graphs.
CURVE_INPUT = "x"
OWN, OTHER = "t", "n"


@dataclasses.dataclass(frozen=True)
class MarginLoss:
    """One loss of the family.

    Attributes:
      own: `t`, the curve of the own class, or of samples of the same class.
      other: `n`, the curve of all others.
      log2_scale: base-2 logarithm of `s`.
    """

    own: Graph
    other: Graph
    log2_scale: float


@dataclasses.dataclass(frozen=True)
class MarginForm(Form):
    """`t: FORMULA | n: FORMULA | log2_s: NUMBER`, the formulas over `x`.

    Attributes:
      layout: of both graphs.
      log2_scales: lowest and highest `log2 s`.
    """

    layout: Layout
    log2_scales: tuple[float, float]
    looks_across = False

    @property
    def inputs(self) -> tuple[str, ...]:
        """See `Form.inputs`."""
        return INPUTS

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """See `Form.ranges`."""
        return {CURVE_INPUT: (-1.0, 1.0)}

    def parse(self, text: str, whose: str = "") -> MarginLoss:
        """Raises UserError for another form, a formula that cannot be read or does not fit, and a scale out of range."""
        named = {OWN: "FORMULA", OTHER: "FORMULA", LOG2_SCALE: "NUMBER"}
        parts = split_parts(text, named, f"a margin-based softmax loss{whose}")
        try:
            log2_scale = read_number(parts[LOG2_SCALE])
        except ValueError:
            log2_scale = float("nan")
        low, high = self.log2_scales
        if not low <= log2_scale <= high:
            given = shortened(parts[LOG2_SCALE])
            raise UserError(f"{LOG2_SCALE} must be a number from {low:g} to {high:g}, not '{given}' (in '{shortened(text)}')")
        own, other = (parse_fitting(parts[name], self.layout, f" of {name}{whose}") for name in (OWN, OTHER))
        return MarginLoss(own, other, log2_scale)

    def write(self, expression: MarginLoss) -> str:
        """See `Form.write`."""
        return f"{OWN}: {expression.own} | {OTHER}: {expression.other} | {LOG2_SCALE}: {_write(expression.log2_scale)}"

    def key(self, expression: MarginLoss) -> str:
        """See `Form.key`."""
        operators = self.layout.operators
        return f"{expression.own.key(operators)}/{expression.other.key(operators)}/{_write(expression.log2_scale)}"

    def canonical(self, expression: MarginLoss) -> MarginLoss:
        """See `Form.canonical`."""
        own, other = (graph.canonical(self.layout.operators) for graph in (expression.own, expression.other))
        return dataclasses.replace(expression, own=own, other=other)

    def reads(self, expression: MarginLoss) -> frozenset[str]:
        """Names of the inputs of the two curves."""
        return expression.own.input_names | expression.other.input_names

    def graphs(self, expression: MarginLoss) -> dict[str, tuple[Graph, Layout]]:
        """See `Form.graphs`."""
        return {OWN: (expression.own, self.layout), OTHER: (expression.other, self.layout)}

    def numbers(self, expression: MarginLoss) -> dict[str, float]:
        """See `Form.numbers`."""
        return {LOG2_SCALE: expression.log2_scale}

    def curves(self, expression: MarginLoss) -> tuple[Graph, Graph]:
        """`t` and `n`."""
        return expression.own, expression.other

    def ablated(self, expression: MarginLoss) -> dict[str, MarginLoss]:
        """See `Form.ablated`; each curve has terms of its own."""
        found = {}
        for field, name in (("own", OWN), ("other", OTHER)):
            for term, left in without_terms(getattr(expression, field), self.layout).items():
                found[f"{name}: {term}"] = dataclasses.replace(expression, **{field: left})
        return found

    def smaller(self, expression: MarginLoss) -> list[MarginLoss]:
        """See `Form.smaller`; one of the curves is smaller."""
        found = [
            dataclasses.replace(expression, **{field: graph})
            for field in ("own", "other")
            for graph in smaller_graphs(getattr(expression, field), self.layout)
        ]
        return sorted(found, key=lambda one: (one.own.tree_size + one.other.tree_size, self.write(one)))

    def blank(self) -> MarginLoss:
        """See `Form.blank`."""
        curve = Graph((Node(CURVE_INPUT),))
        return MarginLoss(curve, curve, self.log2_scales[0])

    def encode(self, expression: MarginLoss) -> dict[str, PyTree]:
        """See `Form.encode`."""
        own, other = (encode(graph, self.layout) for graph in (expression.own, expression.other))
        return {OWN: own, OTHER: other, "scale": np.float32(2.0**expression.log2_scale)}

    def values(self, encoded: Mapping[str, PyTree], inputs: LossInputs, axis_name: str | None = None) -> Array:
        """See `Form.values`."""
        del axis_name  # nothing here looks across samples
        return self._values(
            inputs, encoded["scale"], *(lambda x, name=name: interpret(encoded[name], self.layout, x) for name in (OWN, OTHER))
        )

    def compile(self, expression: MarginLoss) -> Callable[..., Array]:
        """See `Form.compile`."""
        own, other = (compile_graph(graph, self.layout.operators) for graph in (expression.own, expression.other))
        scale = np.float32(2.0**expression.log2_scale)
        return lambda inputs, axis_name=None: self._values(inputs, scale, own, other)

    def _values(
        self, inputs: LossInputs, scale: Array, own: Callable[[LossInputs], Array], other: Callable[[LossInputs], Array]
    ) -> Array:
        cosine, target = inputs.arrays["cosine"], inputs.arrays["target"]
        chosen = target > 0.5

        def on_positions(curve: Callable[[LossInputs], Array], wanted: Array) -> Array:
            # Every cosine is a position of its own, and void where the other curve is meant: a slope that is infinite there
            # must not reach it (zero times infinity is NaN).
            positions = (*cosine.shape[:-2], -1, 1)
            mask = (wanted & inputs.mask).reshape(positions)
            values = curve(LossInputs.create({CURVE_INPUT: cosine.reshape(positions)}, mask))
            return jnp.broadcast_to(values, mask.shape).reshape(cosine.shape)

        return margin_softmax(on_positions(own, chosen), on_positions(other, ~chosen), scale, target)


def _write(scale: float) -> str:
    """Short where that is exact: a tuned scale has more digits than one of the space."""
    short = f"{scale:g}"
    return short if float(short) == scale else repr(float(scale))
