"""One call for everything that others show of a formula."""

import dataclasses
from collections.abc import Mapping, Sequence

from jaxloss.core.graph import Graph
from jaxloss.core.primitives import OperatorSet
from jaxloss.symbolic import render
from jaxloss.symbolic.domain import Range
from jaxloss.symbolic.expression import Formula
from jaxloss.symbolic.python_source import to_python
from jaxloss.symbolic.simplify import DEFAULT_TIME_LIMIT, Simplified, simplify


@dataclasses.dataclass(frozen=True)
class Description:
    """A candidate for reading: one formula, or one per branch.

    Attributes:
      formulas: branch -> formula.
      simplified: branch -> its simplified form, and how it was reached.
    """

    formulas: Mapping[str, Formula]
    simplified: Mapping[str, Simplified]

    def _each(self, write, separator: str, label: str) -> str:
        texts = {name: write(formula, self.simplified[name]) for name, formula in self.formulas.items()}
        if len(texts) == 1:
            return next(iter(texts.values()))
        return separator.join(label.format(name) + text for name, text in texts.items())

    @property
    def text(self) -> str:
        """The formula as searches write it; several branches as `name: formula | name: formula`."""
        return self._each(lambda formula, _: str(formula.graph), " | ", "{}: ")

    @property
    def simplified_text(self) -> str:
        """For example `-target*log(prediction)`."""
        return self._each(render.to_text, " | ", "{}: ")

    @property
    def latex(self) -> str:
        """Without dollar signs; several branches are joined by semicolons."""
        return self._each(render.to_latex, r";\quad ", "")

    @property
    def latex_by_branch(self) -> dict[str, str]:
        """Branch -> LaTeX without dollar signs."""
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


def describe_formulas(candidates: Sequence[Mapping[str, Formula]], time_limit: float = DEFAULT_TIME_LIMIT) -> list[Description]:
    """Describes candidates, each a mapping branch -> formula, in one go.

    Args:
      candidates: see `candidate_formulas` for those of a graph space.
      time_limit: seconds that SymPy may think about each formula.
    """
    results = iter(simplify([formula for candidate in candidates for formula in candidate.values()], time_limit))
    return [Description(dict(candidate), {name: next(results) for name in candidate}) for candidate in candidates]


def candidate_formulas(
    space, graphs: Mapping[str, Graph], ranges: Mapping[str, Mapping[str, Range]] | None = None
) -> dict[str, Formula]:
    """The formulas of a candidate.

    Args:
      space: a graph space (anything with `branches`, each with a `name` and a `layout`).
      graphs: branch -> graph.
      ranges: branch -> input -> (low, high), see `Task.ranges`; any real number where it is not said.
    """
    ranges = ranges or {}

    def formula(name: str, layout) -> Formula:
        return Formula(graphs[name], layout.operators, layout.inputs, layout.per_sample_inputs, ranges.get(name, {}))

    return {branch.name: formula(branch.name, branch.layout) for branch in space.branches}
