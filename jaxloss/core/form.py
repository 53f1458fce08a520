"""What one branch of a candidate is: how its expressions are read, written and computed, and what else can be said of them."""

import abc
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, LossInputs, PyTree

# One loss of a form, immutable: a graph, a few graphs with numbers beside them, a tuple of numbers.
Expression = Any


class Form(abc.ABC):
    """Losses of one kind.

    A form has to provide `inputs` and the abstract methods. Everything else is a capability: a filter, a search or a drawing
    that needs it asks for it, and says so where it is None.

    Attributes:
      inputs: names of the arrays that a loss of this form reads.
      ranges: name -> (low, high), where the form itself says what values something in its formulas may take.
      looks_across: False where no loss of this form looks at other samples: their gradients can be taken together.
      one_hot: whether its losses are defined for a one-hot `target` alone.
      decode: `(encoded) -> expression`, the inverse of `encode` as far as what is computed goes: a loss can then be compiled for
        itself where it is trained.
      program: layout of the one graph that an expression is, where `values` is what the interpreter makes of it: populations of
        such losses are computed in blocks.
      reads: `(expression) -> names of what it reads`, or None where that cannot be said.
      graphs: `(expression) -> {name: (graph, layout)}`, the names that readers know them under, '' for a single one; None for a
        form without graphs.
      curves: `(expression) -> graphs of one input on [-1, 1]`, by whose values its losses are described in place of a gradient.
      blank: `() -> expression`, some small one, for lanes of a population that hold no candidate; None takes a drawn one.
      latex: `(expression) -> text without dollar signs`, for a form without graphs.
      smaller: `(expression) -> expressions` in which something is left out or gives way to something simpler, the smallest
        first; each is smaller than what it was made from, so that nobody makes them for ever.
      ablated: `(expression) -> {text of a top-level term: the expression without it}`: which term does the work?
    """

    inputs: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]] = {}
    looks_across: bool = True
    one_hot: bool = False
    decode: Callable[[PyTree], Expression] | None = None
    program: Any = None
    reads: Callable[[Expression], frozenset[str]] | None = None
    graphs: Callable[[Expression], Mapping[str, tuple[Any, Any]]] | None = None
    curves: Callable[[Expression], tuple[Any, ...]] | None = None
    blank: Callable[[], Expression] | None = None
    latex: Callable[[Expression], str] | None = None
    smaller: Callable[[Expression], Iterable[Expression]] | None = None
    ablated: Callable[[Expression], Mapping[str, Expression]] | None = None

    @abc.abstractmethod
    def parse(self, text: str, whose: str = "") -> Expression:
        """Reads the text form; raises UserError. `whose` names the branch in the message."""

    @abc.abstractmethod
    def write(self, expression: Expression) -> str:
        """The inverse of `parse`: what is read from the text has the same text, the same `key` and the same `canonical` form.

        It need not be equal as an object, where the text does not say how an expression is built: see `graphs.formula.parse`.
        """

    @abc.abstractmethod
    def encode(self, expression: Expression) -> PyTree:
        """As arrays of a shape that is the same for all; raises ProgramOverflow."""

    @abc.abstractmethod
    def values(self, encoded: PyTree, inputs: LossInputs, axis_name: str | None = None) -> Array:
        """The unreduced loss `[N, H, W, C]` or `[N, H, W, 1]`; pure, and differentiable in reverse mode."""

    def compile(self, expression: Expression) -> Callable[..., Array]:
        """The same as a plain function `(inputs, axis_name=None) -> values`."""
        encoded = self.encode(expression)
        return lambda inputs, axis_name=None: self.values(encoded, inputs, axis_name)

    def key(self, expression: Expression) -> str:
        """Equal for expressions that are the same loss but for the way in which they are written."""
        return self.write(expression)

    def canonical(self, expression: Expression) -> Expression:
        """The one expression of all that share a key."""
        return expression

    def numbers(self, expression: Expression) -> Mapping[str, float]:
        """Numbers beside the graphs, by name."""
        del expression
        return {}


def shortened(text: str, length: int = 120) -> str:
    """What a message shows of a text that a user wrote, on one line."""
    text = " ".join(text[: 10 * length].split()) + "..." * (len(text) > 10 * length)
    return text if len(text) <= length else text[: length - 3] + "..."


def read_number(text: str) -> float:
    """The number that a text is: Python's decimal notation, digits 0 to 9.

    Raises:
      ValueError: it is none; digits of other alphabets, which Python would take, are no digits of a formula.
    """
    if not text.isascii():
        raise ValueError(text)
    return float(text)


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
        raise UserError(f"{what} has the form '{form}', not '{shortened(text)}'")
    return dict(given)
