"""A candidate as people read it: its formulas, and the numbers beside them."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jaxloss.core.abstract import named_errors, written
from jaxloss.core.errors import UserError
from jaxloss.symbolic.domain import ValueRange, complete
from jaxloss.symbolic.expression import Formula


@dataclasses.dataclass(frozen=True)
class Reading:
    """One candidate.

    Attributes:
      text: as its space writes it.
      formulas: name -> formula: by branch, or by their names in a loss that is put together of several. None where the form of a
        branch has no graphs.
      numbers: name -> number beside the formulas, such as a scale.
      latex_numbers: what numbers are called in LaTeX, where it is not their name.
      latex: of a candidate without formulas; None where its form has none.
      inputs: branch -> input of the loss -> (low, high), which a loss that is put together has beside those of its formulas.
      write_python: `(reading, docstring) -> module`; None writes formulas node by node.
      of_positions: whether what `write_python` gives has the functions of a module of formulas: a `loss` for each branch, of
        arrays `[N, C]` or `[N, H, W, C]`; else one of samples `[N, C]`.
      num_channels: size of the last axis that it needs; None for any.
    """

    text: str
    formulas: Mapping[str, Formula] | None
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)
    latex_numbers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    latex: str | None = None
    inputs: Mapping[str, Mapping[str, ValueRange]] = dataclasses.field(default_factory=dict)
    write_python: Callable[["Reading", str], str] | None = None
    of_positions: bool = False
    num_channels: int | None = None

    @property
    def takes_positions(self) -> bool:
        """Whether its Python has a function for each branch, of samples and of positions."""
        return self.write_python is None or self.of_positions


def reading_of(space: Any, candidate: Mapping[str, Any], ranges: Mapping[str, Mapping[str, ValueRange]] | None = None) -> Reading:
    """The reading of a candidate.

    Args:
      space: its space.
      candidate: branch -> expression.
      ranges: branch -> input -> (low, high), see `Task.ranges`; any real number where neither it nor the form says it.

    Raises:
      UserError: where `latex` of a form makes a mistake.
    """
    known = {branch.name: {**branch.form.ranges, **(ranges or {}).get(branch.name, {})} for branch in space.branches}
    own = {
        "latex_numbers": space.latex_numbers,
        "inputs": {branch.name: complete(branch.form.inputs, known[branch.name]) for branch in space.branches},
        "write_python": space.write_python,
    }
    text = space.write(candidate)
    if any(branch.form.graphs is None for branch in space.branches):
        return Reading(text, None, latex=_latex(space, candidate), **own)
    formulas: dict[str, Formula] = {}
    numbers: dict[str, float] = {}
    for branch in space.branches:
        expression = candidate[branch.name]

        def named(name: str, branch=branch) -> str:
            several = len(space.branches) > 1
            return (f"{branch.name} {name}" if several else name) if name else branch.name

        for name, (graph, layout) in branch.form.graphs(expression).items():
            formulas[named(name)] = Formula(graph, layout.operators, layout.inputs, layout.per_sample_inputs, known[branch.name])
        numbers |= {named(name): value for name, value in branch.form.numbers(expression).items()}
    return Reading(text, formulas, numbers, **own)


def check_reading(space: Any, candidate: Mapping[str, Any]) -> None:
    """Reads one candidate, and writes it as Python where its space has a way of its own.

    Args:
      space: its space.
      candidate: branch -> expression.

    Raises:
      UserError: one line for the first mistake.
    """
    reading = reading_of(space, candidate)
    if reading.write_python is not None:
        own_python(reading, "A loss function.")


def own_python(reading: Reading, docstring: str) -> str:
    """What `Space.write_python` makes of a candidate.

    Raises:
      UserError: for whatever it raises, and where it gives no Python.
    """
    what = f"write_python of the space of '{reading.text}'"
    with named_errors(what):
        module = reading.write_python(reading, docstring)
    if not isinstance(module, str):
        raise UserError(f"{what} must give text, not {written(module)}")
    try:
        compile(module, "loss.py", "exec")
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{what} must give a Python module, and gives one that cannot be compiled: {error}") from error
    return module


def _latex(space: Any, candidate: Mapping[str, Any]) -> str | None:
    if any(branch.form.latex is None for branch in space.branches):
        return None
    return r";\quad ".join(_latex_of(branch, candidate[branch.name]) for branch in space.branches)


def _latex_of(branch: Any, expression: Any) -> str:
    what = f"latex of the form of the branch {branch.name}"
    with named_errors(what):
        text = branch.form.latex(expression)
    if not isinstance(text, str):
        raise UserError(f"{what} must give text, not {written(text)}")
    return text
