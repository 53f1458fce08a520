"""One call for everything that others show of a formula."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from jaxloss.core.errors import UserError
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.operators.operator import OperatorSet
from jaxloss.symbolic import render
from jaxloss.symbolic.domain import ValueRange
from jaxloss.symbolic.expression import Formula
from jaxloss.symbolic.python_source import to_python
from jaxloss.symbolic.reading import Reading, own_python
from jaxloss.symbolic.simplify import DEFAULT_TIME_LIMIT, Simplified, simplify

# A number that has fewer is written as a fraction.
_MOST_PARTS = 4


@dataclasses.dataclass(frozen=True)
class Description:
    """A candidate for reading: one formula, several, or none where its form has no graphs.

    Attributes:
      reading: its formulas, and the numbers beside them.
      simplified: name -> the simplified form of a formula, and how it was reached.
    """

    reading: Reading
    simplified: Mapping[str, Simplified]

    @property
    def formulas(self) -> Mapping[str, Formula]:
        """Name -> formula; none where the candidate has no graphs."""
        return self.reading.formulas or {}

    @property
    def numbers(self) -> Mapping[str, float]:
        """Name -> number beside the formulas."""
        return self.reading.numbers

    def _each(self, write, separator: str, label: str, number: str = "{}: {:g}", names: Mapping[str, str] | None = None) -> str:
        """What `write` makes of every formula, joined; the text of a candidate without formulas as it is."""
        if not self.formulas:
            return self.reading.text
        texts = {name: write(formula, self.simplified[name]) for name, formula in self.formulas.items()}
        if len(texts) == 1:
            return next(iter(texts.values()))
        parts = [label.format(name) + text for name, text in texts.items()]
        numbers = [number.format((names or {}).get(name, name), value) for name, value in self.numbers.items()]
        return separator.join(parts + numbers)

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
        """The simplified form with its constants computed to four digits, where that is another text, and they are not round."""
        text = self._each(render.to_decimal_text, " | ", "{}: ") if self._decimal else ""
        return "" if text == self.simplified_text else text

    @property
    def _decimal(self) -> bool:
        """Whether numbers were searched for, beside the formulas or in them: `271*exp(x)/1000` reads badly."""
        values = [node.value for formula in self.formulas.values() for node in formula.graph.nodes if node.is_constant]
        return bool(self.numbers) or any(_is_searched(value) for value in values)

    @property
    def latex(self) -> str | None:
        """Without dollar signs; several formulas are joined by semicolons. None where a form without graphs has none.

        Where numbers were searched for, constants are computed to four digits: a searched one is no round number.
        """
        if not self.formulas:
            return self.reading.latex
        if not self._decimal:
            return self._each(render.to_latex, r";\quad ", "")
        if not self.numbers:
            return self._each(render.to_decimal_latex, r";\quad ", "")
        # The names are those of functions of their one input.
        names = self.reading.latex_numbers
        return self._each(render.to_decimal_latex, r";\quad ", r"{}(x) = ", "{} = {:g}", names)

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

        Raises:
          UserError: where there is no formula, or `write_python` of the space makes a mistake.
        """
        lines = ["A loss function.", "", *([] if self.formulas else [f"Candidate: {self.reading.text}"])]
        for name, formula in self.formulas.items():
            of_branch = f" of {name}" if len(self.formulas) > 1 else ""
            lines.append(f"Formula{of_branch}: {formula.graph}")
            simplified = self.simplified[name]
            if simplified.verified:
                where = f", for {formula.domain}" if formula.domain else ""
                lines.append(f"Simplified{of_branch} ({simplified.method}){where}: {render.to_text(formula, simplified)}")
        lines += [f"{name}: {value:g}" for name, value in self.numbers.items()]
        docstring = "\n".join([*lines, *(["", found] if found else [])])
        if self.reading.write_python is not None:
            return own_python(self.reading, docstring)
        if not self.formulas:
            raise UserError(f"the loss '{self.reading.text}' cannot be written as Python: its space has no write_python")
        return to_python(self.formulas, docstring)


def _is_searched(value: float) -> bool:
    """No half, third or quarter of a whole number, as people write them."""
    return math.isfinite(value) and all((value * part) % 1 for part in range(1, _MOST_PARTS + 1))


def describe_formula(
    graph: Graph,
    operators: OperatorSet,
    inputs: Sequence[str],
    ranges: Mapping[str, ValueRange] | None = None,
    time_limit: float = DEFAULT_TIME_LIMIT,
) -> Description:
    """Simplifies one graph and describes it; `describe` is quicker for several.

    Args:
      graph: the loss.
      operators: the set that its operators belong to.
      inputs: names of all inputs.
      ranges: input -> (low, high); any real number where it is not said.
      time_limit: seconds that SymPy may think.
    """
    formula = Formula(graph, operators, tuple(inputs), ranges=ranges or {})
    return describe([Reading(str(graph), {"loss": formula})], time_limit)[0]


def describe(readings: Sequence[Reading], time_limit: float = DEFAULT_TIME_LIMIT) -> list[Description]:
    """Describes candidates in one go.

    Args:
      readings: see `reading.reading_of` for those of a space.
      time_limit: seconds that SymPy may think about each formula.
    """
    formulas = [reading.formulas or {} for reading in readings]
    results = iter(simplify([formula for named in formulas for formula in named.values()], time_limit))
    return [
        Description(reading, {name: next(results) for name in named}) for reading, named in zip(readings, formulas, strict=True)
    ]
