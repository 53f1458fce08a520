"""What a search space is: named branches, and a way to turn a candidate into a loss."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxloss.core.family import BranchInputs
from jaxloss.core.form import Expression, Form, split_parts
from jaxloss.core.problem import PREDICTIONS
from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import Array, PyTree
from jaxloss.spaces.distribution import Distribution
from jaxloss.spaces.drawing import Drawing
from jaxloss.spaces.fixed import FixedLoss
from jaxloss.spaces.hyperparameters import TuningRange

Candidate = Mapping[str, Expression]


@dataclasses.dataclass(frozen=True)
class Branch:
    """One loss branch: its own form, inputs and weight.

    Attributes:
      name: for example `classification`; the name that the task gives it too.
      form: what its expressions are.
      weight: factor of this branch in the sum of the branches.
      required: what an expression must read to be a loss at all, checked in order: one at least of each set of inputs.
    """

    name: str
    form: Form
    weight: float = 1.0
    required: tuple[frozenset[str], ...] = ()

    def lacking(self, expression: Expression) -> frozenset[str] | None:
        """The first set of required inputs of which an expression reads none; None where it is a loss, or its form cannot say."""
        if self.form.reads is None:
            return None
        read = self.form.reads(expression)
        return next((any_of for any_of in self.required if not any_of & read), None)


@dataclasses.dataclass(frozen=True)
class Space:
    """A space of losses: one expression per branch, their losses added.

    The first three attributes make a space. The others are capabilities: whoever needs one that is None says so as a run starts.

    Attributes:
      name: as used in configs.
      branches: in a fixed order.
      sample: `(generator, branch) -> expression`, a random one for one branch.
      offspring: `(generator, branch, parents) -> (expression, origin)`; `origin` says how it came about. Evolution needs it.
      num_parents: how many parents an offspring has.
      hyperparameters: `(candidate) -> {name: value}`, numbers of a candidate that a comparison tunes.
      with_hyperparameters: `(candidate, {name: value}) -> candidate`.
      tuning_ranges: where they are tuned, by name.
      known_losses: name -> formula: hand-crafted losses that it can write, with which a search may begin.
      problems: names of the problems that its filters solve, see `Task.problems`.
      make_filters: `(filters.context.FilterContext) -> filters of one branch`; None takes the standard ones.
      make_chooser: `(context: search.chooser.ChooserContext) -> search.chooser.Chooser`, for choosing what is trained, or None
        where its settings ask for none.
      sections: names of further config sections that its filters and its chooser read.
      drawing: how a report draws its losses; None draws losses of one branch over prediction and target, and no others.
      latex_numbers: how numbers beside its formulas are called in LaTeX, by name.
      fixed_losses: branch -> the loss that it has while the space searches others; every candidate is trained beside it.
      write_python: `(candidate as symbolic formulas and numbers, docstring) -> text` of a module that stands alone; None writes
        graphs node by node, and nothing of other forms.
      distribution: of its losses, learned while networks train; a search in lock-step needs it.
    """

    name: str
    branches: tuple[Branch, ...]
    sample: Callable[[np.random.Generator, Branch], Expression]
    offspring: Callable[[np.random.Generator, Branch, Sequence[Expression]], tuple[Expression, str]] | None = None
    num_parents: int = 1
    hyperparameters: Callable[[Candidate], Mapping[str, float]] = lambda candidate: {}
    with_hyperparameters: Callable[[Candidate, Mapping[str, float]], Candidate] = lambda candidate, values: candidate
    tuning_ranges: Mapping[str, TuningRange] = dataclasses.field(default_factory=dict)
    known_losses: Mapping[str, str] = dataclasses.field(default_factory=dict)
    problems: tuple[str, ...] = (PREDICTIONS,)
    make_filters: Callable[[Any], Sequence[Any]] | None = None
    make_chooser: Callable[[Any], Any] | None = None
    sections: tuple[str, ...] = ()
    drawing: Drawing | None = None
    latex_numbers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    fixed_losses: Mapping[str, FixedLoss] = dataclasses.field(default_factory=dict)
    write_python: Callable[[Any, str], str] | None = None
    distribution: Distribution | None = None

    def branch(self, name: str) -> Branch:
        """The branch with this name."""
        return next(branch for branch in self.branches if branch.name == name)

    def draw(self, generator: np.random.Generator) -> dict[str, Expression]:
        """A random candidate."""
        return {branch.name: self.sample(generator, branch) for branch in self.branches}

    def encode(self, candidate: Candidate) -> dict[str, PyTree]:
        """The candidate as a pytree of arrays of fixed shape.

        Raises:
          ProgramOverflow: when a graph does not fit.
        """
        return {branch.name: branch.form.encode(candidate[branch.name]) for branch in self.branches}

    def apply(self, encoded: Mapping[str, PyTree], inputs: BranchInputs, axis_name: str | None = None) -> dict[str, Array]:
        """The unreduced loss of each branch, `[N, H, W, C]` or `[N, H, W, 1]`."""
        return {branch.name: branch.form.values(encoded[branch.name], inputs[branch.name], axis_name) for branch in self.branches}

    def loss(self, encoded: Mapping[str, PyTree], inputs: BranchInputs, axis_name: str | None = None) -> Array:
        """The scalar loss: the weighted sum over the branches of the mean of each (Li et al., CVPR 2022, Section 3.1)."""
        return self._reduce(self.apply(encoded, inputs, axis_name), inputs, axis_name)

    def compile(self, candidate: Candidate) -> Callable[..., Array]:
        """The same loss as a plain function `(inputs, axis_name=None) -> scalar`."""
        functions = {branch.name: branch.form.compile(candidate[branch.name]) for branch in self.branches}

        def loss(inputs: BranchInputs, axis_name: str | None = None) -> Array:
            values = {name: function(inputs[name], axis_name) for name, function in functions.items()}
            return self._reduce(values, inputs, axis_name)

        return loss

    def specialised(self, encoded: Mapping[str, PyTree]) -> Callable[..., Array] | None:
        """The loss of one encoded candidate as a function of its own, see `compile`; None where a form cannot be decoded."""
        if any(branch.form.decode is None for branch in self.branches):
            return None
        return self.compile({branch.name: branch.form.decode(encoded[branch.name]) for branch in self.branches})

    def _reduce(self, values: Mapping[str, Array], inputs: BranchInputs, axis_name: str | None) -> Array:
        terms = [branch.weight * mean_loss(values[branch.name], inputs[branch.name], axis_name) for branch in self.branches]
        return sum(terms[1:], terms[0])

    def parse(self, text: str) -> dict[str, Expression]:
        """Reads a candidate: an expression, or `name: formula | name: formula` where there are several branches.

        Raises:
          UserError: names the form, the position in the formula, or the branch and its size that is exceeded.
        """
        if len(self.branches) == 1:
            branch = self.branches[0]
            return {branch.name: branch.form.parse(text)}
        names = dict.fromkeys((branch.name for branch in self.branches), "FORMULA")
        parts = split_parts(text, names, f"a candidate of the space {self.name}")
        return {branch.name: branch.form.parse(parts[branch.name], f" of the branch {branch.name}") for branch in self.branches}

    def write(self, candidate: Candidate) -> str:
        """The text form; the inverse of `parse`."""
        texts = {branch.name: branch.form.write(candidate[branch.name]) for branch in self.branches}
        return "".join(texts.values()) if len(texts) == 1 else " | ".join(f"{name}: {text}" for name, text in texts.items())

    def customary(self, formula: str) -> dict[str, float]:
        """See `core.family.LossFamily`."""
        return dict(self.hyperparameters(self.parse(formula)))

    def tuned(self, formula: str, values: Mapping[str, float]) -> dict[str, PyTree]:
        """See `core.family.LossFamily`."""
        return self.encode(self.with_hyperparameters(self.parse(formula), values))

    def key(self, candidate: Candidate) -> str:
        """A canonical key, see `Form.key`."""
        return "|".join(branch.form.key(candidate[branch.name]) for branch in self.branches)
