"""A graph as a SymPy expression, from the templates of its operators."""

import dataclasses
import fractions
from collections.abc import Mapping

import sympy

from jaxloss.core.types import Granularity
from jaxloss.graphs.graph import Graph, Node
from jaxloss.graphs.operators.operator import OperatorSet
from jaxloss.symbolic import domain, symbols
from jaxloss.symbolic.domain import ValueRange

# A graph that shares nodes may be exponentially larger as an expression.
MAX_TREE_SIZE = 2000


@dataclasses.dataclass(frozen=True)
class Formula:
    """A graph with what is needed to read it.

    Attributes:
      graph: the loss.
      operators: the set that its operators belong to.
      inputs: the names of all inputs of its space, in order; the graph need not use all of them.
      per_sample_inputs: those that hold one value per sample.
      ranges: input -> (low, high); inputs that are not named here may be any real number.
    """

    graph: Graph
    operators: OperatorSet
    inputs: tuple[str, ...]
    per_sample_inputs: frozenset[str] = frozenset()
    ranges: Mapping[str, ValueRange] = dataclasses.field(default_factory=dict)

    @property
    def input_ranges(self) -> dict[str, ValueRange]:
        """Every input -> (low, high)."""
        return domain.complete(self.inputs, self.ranges)

    @property
    def domain(self) -> str:
        """The ranges of the inputs that occur, in words: `prediction in (0, 1), target in [0, 1]`."""
        return domain.in_words({name: span for name, span in self.input_ranges.items() if name in self.graph.input_names})

    @property
    def epsilon(self) -> float | None:
        """What `epsilon` stands for in the operator set, or None."""
        return self.operators.epsilon

    @property
    def tree_size(self) -> int:
        """Nodes of the graph written as a tree, without sharing."""
        sizes: list[int] = []
        for node in self.graph.nodes:
            sizes.append(1 + sum(sizes[i] for i in node.operands))
        return sizes[-1]

    def operator_names(self) -> list[str]:
        """Per node, the name of the operator that really runs (see `Operator.on_samples`), of the input, or of the constant."""
        kinds = self.graph.granularities(self.operators, self.per_sample_inputs)
        names = []
        for node in self.graph.nodes:
            on_samples = self.operators[node.name].on_samples if node.is_operator else None
            per_sample = all(kinds[i] is Granularity.SAMPLE for i in node.operands)
            names.append(on_samples if on_samples and per_sample else node.name)
        return names


def write_constant(node: Node) -> str:
    """A constant as SymPy text: as a fraction where that is the same number."""
    fraction = fractions.Fraction(node.value).limit_denominator(1000)
    return f"({fraction})" if float(fraction) == node.value else f"({node.value!r})"


def sympy_text(formula: Formula) -> str | None:
    """The formula as SymPy text, unchanged; None where it would have more than `MAX_TREE_SIZE` nodes."""
    if formula.tree_size > MAX_TREE_SIZE:
        return None
    written: list[str] = []
    for node, name in zip(formula.graph.nodes, formula.operator_names(), strict=True):
        if node.is_constant:
            written.append(write_constant(node))
        elif node.is_input:
            written.append(node.name)
        else:
            written.append("(" + formula.operators[name].sympy.format(*(written[i] for i in node.operands)) + ")")
    return written[-1]


def to_expression(formula: Formula) -> sympy.Expr:
    """The formula as a SymPy expression, with what SymPy simplifies by itself (1 + 1, |x| of a positive x).

    Raises:
      ValueError: the formula is too large, see `MAX_TREE_SIZE`.
    """
    text = sympy_text(formula)
    if text is None:
        raise ValueError(f"the formula has more than {MAX_TREE_SIZE} nodes")
    return symbols.read(text, formula.input_ranges)
