"""What a search space is: named branches, and a way to turn a candidate into a loss."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from jaxloss.core.compile import compile_graph
from jaxloss.core.errors import UserError
from jaxloss.core.family import BranchInputs
from jaxloss.core.formula import parse
from jaxloss.core.graph import Graph
from jaxloss.core.interpret import interpret
from jaxloss.core.program import Layout, Program, encode, fits
from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import Array, Reason

Candidate = Mapping[str, Graph]


@dataclasses.dataclass(frozen=True)
class Branch:
    """One loss branch: its own operators, inputs and weight.

    Attributes:
      name: for example `classification`; the name that the task gives it too.
      layout: fixed program size, operator set and inputs.
      weight: factor of this branch in the sum of the branches.
      required: what a graph must contain: (reason for a rejection, any of these inputs).
    """

    name: str
    layout: Layout
    weight: float = 1.0
    required: tuple[tuple[Reason, frozenset[str]], ...] = (
        (Reason.NO_PREDICTION, frozenset({"prediction"})),
        (Reason.NO_TARGET, frozenset({"target"})),
    )

    @property
    def leaves(self) -> tuple[str, ...]:
        return self.layout.inputs


@dataclasses.dataclass(frozen=True)
class GraphSpace:
    """A space of loss graphs: one graph per branch, their losses added.

    Attributes:
      name: as used in configs.
      branches: in a fixed order.
      sample: `(generator, branch) -> Graph`, a random graph for one branch.
      offspring: `(generator, branch, parent) -> (Graph, origin)`; `origin` says how it came about.
    """

    name: str
    branches: tuple[Branch, ...]
    sample: Callable[[np.random.Generator, Branch], Graph]
    offspring: Callable[[np.random.Generator, Branch, Graph], tuple[Graph, str]]

    def branch(self, name: str) -> Branch:
        return next(branch for branch in self.branches if branch.name == name)

    def encode(self, candidate: Candidate) -> dict[str, Program]:
        """The candidate as a pytree of arrays of fixed shape.

        Raises:
          ProgramOverflow: when a graph does not fit.
        """
        return {branch.name: encode(candidate[branch.name], branch.layout) for branch in self.branches}

    def apply(self, encoded: Mapping[str, Program], inputs: BranchInputs, axis_name: str | None = None) -> dict[str, Array]:
        """The unreduced loss of each branch, `[N, H, W, C]`."""
        return {
            branch.name: interpret(encoded[branch.name], branch.layout, inputs[branch.name], axis_name)
            for branch in self.branches
        }

    def loss(self, encoded: Mapping[str, Program], inputs: BranchInputs, axis_name: str | None = None) -> Array:
        """The scalar loss: the weighted sum over the branches of the mean of each (AutoLoss-Zero, Section 3.1)."""
        return self._reduce(self.apply(encoded, inputs, axis_name), inputs, axis_name)

    def compile(self, candidate: Candidate) -> Callable[..., Array]:
        """The same loss as a plain function `(inputs, axis_name=None) -> scalar`."""
        functions = {branch.name: compile_graph(candidate[branch.name], branch.layout.operators) for branch in self.branches}

        def loss(inputs: BranchInputs, axis_name: str | None = None) -> Array:
            values = {name: function(inputs[name], axis_name) for name, function in functions.items()}
            return self._reduce(values, inputs, axis_name)

        return loss

    def _reduce(self, values: Mapping[str, Array], inputs: BranchInputs, axis_name: str | None) -> Array:
        terms = [branch.weight * mean_loss(values[branch.name], inputs[branch.name], axis_name) for branch in self.branches]
        return sum(terms[1:], terms[0])

    def parse(self, text: str) -> dict[str, Graph]:
        """Reads a candidate: a formula, or `name: formula | name: formula` where there are several branches.

        Raises:
          UserError: names the form, the position in the formula, or the branch and its size that is exceeded.
        """
        if len(self.branches) == 1:
            branch = self.branches[0]
            return {branch.name: _parse_fitting(text, branch.layout)}
        given = [(name.strip(), formula) for name, _, formula in (part.partition(":") for part in text.split("|"))]
        names = [branch.name for branch in self.branches]
        if sorted(name for name, _ in given) != sorted(names):
            form = " | ".join(f"{name}: FORMULA" for name in names)
            raise UserError(f"a candidate of the space {self.name} has the form '{form}', not '{text}'")
        parts = dict(given)
        return {
            branch.name: _parse_fitting(parts[branch.name].strip(), branch.layout, f" of the branch {branch.name}")
            for branch in self.branches
        }

    def write(self, candidate: Candidate) -> str:
        """The text form; the inverse of `parse`."""
        if len(self.branches) == 1:
            return str(candidate[self.branches[0].name])
        return " | ".join(f"{branch.name}: {candidate[branch.name]}" for branch in self.branches)

    def key(self, candidate: Candidate) -> str:
        """A canonical key, see `Graph.key`."""
        return "|".join(candidate[branch.name].key(branch.layout.operators) for branch in self.branches)


def _parse_fitting(text: str, layout: Layout, whose: str = "") -> Graph:
    graph = parse(text, layout.operators, layout.inputs)
    if not fits(graph, layout):
        raise UserError(
            f"the formula '{text[:80]}{'...' * (len(text) > 80)}'{whose} is too large: a program of this space holds "
            f"{layout.max_instructions} operators and {layout.max_constants} different numbers"
        )
    return graph


def check_inputs(space: GraphSpace, offers: Mapping[str, tuple[str, ...]], task: str) -> None:
    """Compares what a space needs with what a task offers.

    Args:
      space: its branches and their inputs.
      offers: branch name -> names of the arrays that the task makes.
      task: the task's name, for the message.

    Raises:
      UserError: names the branch or input that is missing, and both sides.
    """
    for branch in space.branches:
        if branch.name not in offers:
            raise UserError(f"the space {space.name} has a branch '{branch.name}', the task {task} has {sorted(offers)}")
        missing = [name for name in branch.layout.inputs if name not in offers[branch.name]]
        if missing:
            raise UserError(
                f"the space {space.name} needs the input '{missing[0]}', the task {task} offers {sorted(offers[branch.name])}"
            )
