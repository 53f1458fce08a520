"""One call for everything that others show of a formula."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.graphs.graph import Graph
from jaxloss.graphs.operators.operator import OperatorSet
from jaxloss.symbolic import render
from jaxloss.symbolic.domain import Range
from jaxloss.symbolic.expression import Formula
from jaxloss.symbolic.python_margin import margin_to_python
from jaxloss.symbolic.python_source import to_python
from jaxloss.symbolic.simplify import DEFAULT_TIME_LIMIT, Simplified, simplify

# The numbers of a candidate that is no single formula, in LaTeX.
_LATEX_NUMBERS = {"log2_s": r"\log_2 s"}


@dataclasses.dataclass(frozen=True)
class Description:
    """A candidate for reading: one formula, or several, by branch or by their names in a loss that is put together of them.

    Attributes:
      formulas: name -> formula.
      simplified: name -> its simplified form, and how it was reached.
      numbers: name -> number beside the formulas, such as the scale of a margin-based loss.
    """

    formulas: Mapping[str, Formula]
    simplified: Mapping[str, Simplified]
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def _each(self, write, separator: str, label: str, number: str = "{}: {:g}") -> str:
        texts = {name: write(formula, self.simplified[name]) for name, formula in self.formulas.items()}
        if len(texts) == 1:
            return next(iter(texts.values()))
        parts = [label.format(name) + text for name, text in texts.items()]
        return separator.join(parts + [number.format(name, value) for name, value in self.numbers.items()])

    @property
    def text(self) -> str:
        """The formula as searches write it; several as `name: formula | name: formula`."""
        return self._each(lambda formula, _: str(formula.graph), " | ", "{}: ")

    @property
    def simplified_text(self) -> str:
        """For example `-target*log(prediction)`."""
        return self._each(render.to_text, " | ", "{}: ")

    @property
    def decimal_text(self) -> str:
        """The simplified form with its constants computed to four digits, where numbers stand beside the formulas; else ''."""
        return self._each(render.to_decimal_text, " | ", "{}: ") if self.numbers else ""

    @property
    def latex(self) -> str:
        """Without dollar signs; several formulas are joined by semicolons.

        Where numbers stand beside the formulas, constants are computed to four digits: a searched one is no round number.
        """
        if not self.numbers:
            return self._each(render.to_latex, r";\quad ", "")
        # The names are those of functions of their one input.
        named = dataclasses.replace(self, numbers={_LATEX_NUMBERS.get(name, name): x for name, x in self.numbers.items()})
        return named._each(render.to_decimal_latex, r";\quad ", r"{}(x) = ", "{} = {:g}")

    @property
    def latex_by_branch(self) -> dict[str, str]:
        """Name -> LaTeX without dollar signs."""
        return {name: render.to_latex(formula, self.simplified[name]) for name, formula in self.formulas.items()}

    @property
    def sympy(self) -> str:
        """Text that SymPy reads, see `symbols.read`; several branches one per line, as `name: text`."""
        return self._each(render.to_sympy, "\n", "{}: ")

    @property
    def domain(self) -> str:
        """Where the simplified form is the loss: `prediction in (0, 1), target in [0, 1]`; '' where nothing was simplified."""
        domains = {name: formula.domain for name, formula in self.formulas.items() if self.simplified[name].verified}
        domains = {name: text for name, text in domains.items() if text}
        if len(self.formulas) == 1:
            return "".join(domains.values())
        return " | ".join(f"{name}: {text}" for name, text in domains.items())

    @property
    def method(self) -> str:
        """how the simplified form was reached (see `Simplified.method`), and a note where SymPy was stopped."""

        def write(_, simplified: Simplified) -> str:
            return simplified.method + (f" ({simplified.note})" if simplified.note else "")

        return self._each(write, " | ", "{}: ")

    def python(self, found: str = "") -> str:
        """A Python module that stands alone; see `python_source.to_python`.

        Args:
          found: lines on how the loss was found, for the docstring.
        """
        lines = ["A loss function.", ""]
        for name, formula in self.formulas.items():
            of_branch = f" of {name}" if len(self.formulas) > 1 else ""
            lines.append(f"Formula{of_branch}: {formula.graph}")
            simplified = self.simplified[name]
            if simplified.verified:
                where = f", for {formula.domain}" if formula.domain else ""
                lines.append(f"Simplified{of_branch} ({simplified.method}){where}: {render.to_text(formula, simplified)}")
        if self.numbers:
            lines += [f"{name}: {value:g}" for name, value in self.numbers.items()]
            return margin_to_python(self.formulas, self.numbers, "\n".join([*lines, *(["", found] if found else [])]))
        return to_python(self.formulas, "\n".join([*lines, *(["", found] if found else [])]))


def describe_formula(
    graph: Graph,
    operators: OperatorSet,
    inputs: Sequence[str],
    ranges: Mapping[str, Range] | None = None,
    time_limit: float = DEFAULT_TIME_LIMIT,
) -> Description:
    """Simplifies one graph and describes it; `describe_formulas` is quicker for several.

    Args:
      graph: the loss.
      operators: the set that its operators belong to.
      inputs: names of all inputs.
      ranges: input -> (low, high); any real number where it is not said.
      time_limit: seconds that SymPy may think.
    """
    return describe_formulas([{"loss": Formula(graph, operators, tuple(inputs), ranges=ranges or {})}], time_limit)[0]


def describe_formulas(
    candidates: Sequence[Mapping[str, Formula | float]], time_limit: float = DEFAULT_TIME_LIMIT
) -> list[Description]:
    """Describes candidates, each a mapping name -> formula (or number beside the formulas), in one go.

    Args:
      candidates: see `candidate_formulas` for those of a graph space.
      time_limit: seconds that SymPy may think about each formula.
    """
    formulas = [{name: one for name, one in parts.items() if isinstance(one, Formula)} for parts in candidates]
    results = iter(simplify([formula for parts in formulas for formula in parts.values()], time_limit))
    return [
        Description(own, {name: next(results) for name in own}, {name: one for name, one in parts.items() if name not in own})
        for own, parts in zip(formulas, candidates, strict=True)
    ]


def candidate_formulas(
    space, candidate: Mapping[str, Any], ranges: Mapping[str, Mapping[str, Range]] | None = None
) -> dict[str, Formula | float]:
    """The formulas of a candidate, and the numbers beside them.

    Args:
      space: a graph space (anything with `branches`, each with a `name` and a `form`).
      candidate: branch -> expression.
      ranges: branch -> input -> (low, high), see `Task.ranges`; any real number where neither it nor the form says it.
    """
    parts: dict[str, Formula | float] = {}
    for branch in space.branches:
        expression, known = candidate[branch.name], {**branch.form.ranges, **(ranges or {}).get(branch.name, {})}

        def named(name: str, branch=branch) -> str:
            several = len(space.branches) > 1
            return (f"{branch.name} {name}" if several else name) if name else branch.name

        for name, (graph, layout) in branch.form.graphs(expression).items():
            parts[named(name)] = Formula(graph, layout.operators, layout.inputs, layout.per_sample_inputs, known)
        parts |= {named(name): value for name, value in branch.form.numbers(expression).items()}
    return parts
