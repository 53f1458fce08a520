"""A branch whose losses are single graphs over the inputs."""

import dataclasses
from collections.abc import Callable, Mapping

from jaxloss.core.errors import UserError
from jaxloss.core.form import Form
from jaxloss.core.types import Array, LossInputs
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.formula import parse
from jaxloss.graphs.graph import Graph, Node
from jaxloss.graphs.interpret import interpret
from jaxloss.graphs.program import Layout, Program, decode, encode, fits
from jaxloss.graphs.smaller import smaller_graphs
from jaxloss.graphs.terms import without_terms


@dataclasses.dataclass(frozen=True)
class GraphForm(Form):
    """A single graph over the inputs.

    Attributes:
      layout: operators, inputs and size.
      ranges: see `Form`.
    """

    layout: Layout
    ranges: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        """See `Form.inputs`."""
        return self.layout.inputs

    @property
    def program(self) -> Layout:
        """See `Form.program`."""
        return self.layout

    def parse(self, text: str, whose: str = "") -> Graph:
        """See `Form.parse`."""
        return parse_fitting(text, self.layout, whose)

    def write(self, expression: Graph) -> str:
        """See `Form.write`."""
        return str(expression)

    def key(self, expression: Graph) -> str:
        """See `Form.key`."""
        return expression.key(self.layout.operators)

    def canonical(self, expression: Graph) -> Graph:
        """See `Form.canonical`."""
        return expression.canonical(self.layout.operators)

    def reads(self, expression: Graph) -> frozenset[str]:
        """See `Form.reads`."""
        return expression.input_names

    def graphs(self, expression: Graph) -> dict[str, tuple[Graph, Layout]]:
        """See `Form.graphs`."""
        return {"": (expression, self.layout)}

    def smaller(self, expression: Graph) -> list[Graph]:
        """See `Form.smaller`."""
        return smaller_graphs(expression, self.layout)

    def ablated(self, expression: Graph) -> dict[str, Graph]:
        """See `Form.ablated`."""
        return without_terms(expression, self.layout)

    def blank(self) -> Graph:
        """See `Form.blank`."""
        return Graph((Node(self.layout.inputs[0]),))

    def encode(self, expression: Graph) -> Program:
        """See `Form.encode`."""
        return encode(expression, self.layout)

    def decode(self, encoded: Program) -> Graph:
        """See `Form.decode`."""
        return decode(encoded, self.layout)

    def values(self, encoded: Program, inputs: LossInputs, axis_name: str | None = None) -> Array:
        """See `Form.values`."""
        return interpret(encoded, self.layout, inputs, axis_name)

    def compile(self, expression: Graph) -> Callable[..., Array]:
        """See `Form.compile`."""
        return compile_graph(expression, self.layout.operators)


def parse_fitting(text: str, layout: Layout, whose: str = "") -> Graph:
    """Reads a formula that has to fit a layout.

    Raises:
      UserError: names the position in the formula, or the size that is exceeded.
    """
    graph = parse(text, layout.operators, layout.inputs, whose)
    if not fits(graph, layout):
        raise UserError(
            f"the formula '{text[:80]}{'...' * (len(text) > 80)}'{whose} is too large: a program of this space holds "
            f"{layout.max_instructions} operators and {layout.max_constants} different numbers"
        )
    return graph
