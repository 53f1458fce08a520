"""What one branch of a candidate is, and how it becomes a loss: a single graph, or graphs that are put together."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.formula import parse
from jaxloss.graphs.graph import Graph, Node
from jaxloss.graphs.interpret import interpret
from jaxloss.graphs.program import Layout, Program, encode, fits

# Immutable: a `Graph`, or a few of them with numbers beside them. It says which inputs it reads (`input_names`) and how many
# nodes it has when every use of a shared one is written out (`tree_size`).
Expression = Any


class Form(Protocol):
    """How the expressions of one branch are read, written, compared and computed.

    A form may offer `curves(expression) -> graphs of one input on [-1, 1]`: its losses are then described by the values of these
    in place of a gradient, see `curves_of`.

    Attributes:
      inputs: names of the arrays that a loss of this form reads.
      ranges: input of its graphs -> (low, high), where the form itself says what values it may take.
    """

    inputs: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]]

    def parse(self, text: str, whose: str = "") -> Expression:
        """Reads the text form; raises UserError. `whose` names the branch in the message."""

    def write(self, expression: Expression) -> str:
        """The inverse of `parse`."""

    def key(self, expression: Expression) -> str:
        """Equal for expressions that differ only in the order of commutative operands or in sharing."""

    def canonical(self, expression: Expression) -> Expression:
        """The one expression of all that share a key."""

    def graphs(self, expression: Expression) -> Mapping[str, tuple[Graph, Layout]]:
        """The graphs in it, by the names that readers know them under; a single graph has the name ''."""

    def numbers(self, expression: Expression) -> Mapping[str, float]:
        """Numbers beside the graphs, by name."""

    def blank(self) -> Expression:
        """Some small expression, for lanes of a population that hold no candidate."""

    def encode(self, expression: Expression) -> PyTree:
        """As arrays of fixed shape; raises ProgramOverflow."""

    def values(self, encoded: PyTree, inputs: LossInputs, axis_name: str | None = None) -> Array:
        """The unreduced loss `[N, H, W, C]` or `[N, H, W, 1]`."""

    def compile(self, expression: Expression) -> Callable[..., Array]:
        """The same as a plain function `(inputs, axis_name=None) -> values`."""


def curves_of(form: Form) -> Callable[[Expression], tuple[Graph, ...]] | None:
    """What gives the curves of a form's expressions, or None where they have none."""
    return getattr(form, "curves", None)


@dataclasses.dataclass(frozen=True)
class GraphForm:
    """A single graph over the inputs (AutoLoss-Zero)."""

    layout: Layout
    ranges: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.layout.inputs

    def parse(self, text: str, whose: str = "") -> Graph:
        return parse_fitting(text, self.layout, whose)

    def write(self, expression: Graph) -> str:
        return str(expression)

    def key(self, expression: Graph) -> str:
        return expression.key(self.layout.operators)

    def canonical(self, expression: Graph) -> Graph:
        return expression.canonical(self.layout.operators)

    def graphs(self, expression: Graph) -> dict[str, tuple[Graph, Layout]]:
        return {"": (expression, self.layout)}

    def numbers(self, expression: Graph) -> dict[str, float]:
        return {}

    def blank(self) -> Graph:
        return Graph((Node(self.layout.inputs[0]),))

    def encode(self, expression: Graph) -> Program:
        return encode(expression, self.layout)

    def values(self, encoded: Program, inputs: LossInputs, axis_name: str | None = None) -> Array:
        return interpret(encoded, self.layout, inputs, axis_name)

    def compile(self, expression: Graph) -> Callable[..., Array]:
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


def split_parts(text: str, parts: Mapping[str, str], what: str) -> dict[str, str]:
    """Reads `name: text | name: text`, each name once, in any order.

    Args:
      text: to be read.
      parts: name -> what stands behind it, such as `FORMULA`.
      what: is written so, for the message.

    Raises:
      UserError: says how `what` is to be written.
    """
    given = [(name.strip(), part.strip()) for name, _, part in (part.partition(":") for part in text.split("|"))]
    if sorted(name for name, _ in given) != sorted(parts):
        form = " | ".join(f"{name}: {content}" for name, content in parts.items())
        raise UserError(f"{what} has the form '{form}', not '{text}'")
    return dict(given)
