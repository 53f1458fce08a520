"""Losses as functions of arrays: found ones, formulas, and ready ones by name."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from jaxloss.api.inputs import loss_inputs
from jaxloss.api.one_hot import expect_one_hot
from jaxloss.config.overrides import apply_overrides
from jaxloss.config.schema import default_config, read
from jaxloss.core.arguments import expect, expect_between, expect_ranges
from jaxloss.core.errors import UserError, unknown
from jaxloss.core.family import BranchInputs
from jaxloss.core.types import Array
from jaxloss.spaces.base import Space
from jaxloss.spaces.branched import BranchedFamily
from jaxloss.spaces.families import FAMILIES
from jaxloss.spaces.handcrafted import HandcraftedFamily
from jaxloss.study.handcrafted_export import reading_of_handcrafted
from jaxloss.symbolic.describe import Description, describe
from jaxloss.symbolic.domain import ValueRange
from jaxloss.symbolic.frameworks.registry import DIALECTS
from jaxloss.symbolic.frameworks.write import write
from jaxloss.symbolic.reading import Reading, reading_of
from jaxloss.systems.registry import DEFAULT, PUBLISHED, SYSTEMS

_ONE_BRANCH = "loss"


@dataclasses.dataclass(frozen=True, eq=False)
class Loss:
    """A loss as a pure function, for `jax.jit` and `jax.grad`.

        loss(prediction, target)                    # in the order of `inputs`
        loss(target=target, prediction=prediction)  # by name
        loss({"box": {"i": i, ...}, "class": {...}})  # where there are several branches

    Arrays are `[N, C]` or `[N, H, W, C]`; the result is a scalar: the sum over C, and the weighted mean over the valid N, H, W.

    Attributes:
      name: a name, or the formula.
      inputs: branch -> names of the arrays that it reads.
      function: `({branch: LossInputs}) -> scalar`.
      reading: its formulas; None for a hand-crafted loss.
      handcrafted: gives what writes a hand-crafted loss as code; None for others.
      meanings: branch -> input -> what it is, where a task says it.
      found: lines for the head of its code: how a run found it, what it was worth there, and what goes in.
    """

    name: str
    inputs: Mapping[str, tuple[str, ...]]
    function: Callable[[BranchInputs], Array]
    reading: Reading | None = None
    handcrafted: Callable[[], Reading] | None = None
    meanings: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    found: str = ""

    def __call__(
        self,
        *arrays: Array | Mapping[str, Mapping[str, Array]],
        mask: Array | None = None,
        weights: Array | None = None,
        **named: Array,
    ) -> Array:
        """The loss, a scalar.

        Args:
          *arrays: in the order of `inputs`, or one mapping branch -> {name: array}.
          mask: False on void positions, `[N]` or `[N, H, W]`, with or without a last axis of 1.
          weights: non-negative, of the same shape.
          **named: the same arrays by name.

        Raises:
          UserError: names an array that is missing, unknown, given twice, or of another rank, and a row of `target` that is not
            one-hot where a loss is defined for such alone; under `jit`, where no values are seen, it is not told.
        """
        if len(self.inputs) > 1:
            if len(arrays) != 1 or not isinstance(arrays[0], Mapping) or named:
                raise UserError(f"the loss has the branches {', '.join(self.inputs)}: give one mapping branch -> {{name: array}}")
            given = dict(arrays[0])
        else:
            ((branch, names),) = self.inputs.items()
            if len(arrays) > len(names):
                raise UserError(f"the loss takes {len(names)} arrays, {', '.join(names)}, not {len(arrays)}")
            positional = dict(zip(names, arrays, strict=False))
            if twice := sorted(positional.keys() & named.keys()):
                raise UserError(f"the loss got '{twice[0]}' twice")
            given = {branch: {**positional, **named}}
        return self.function(
            {name: loss_inputs(given.get(name, {}), names, mask, weights) for name, names in self.inputs.items()}
        )

    @property
    def loss(self) -> "Loss":
        """The function itself: `results.best.loss(prediction, target)` reads as well as `results.best(prediction, target)`."""
        return self

    @property
    def formula(self) -> str | None:
        """As searches write it; None for a hand-crafted loss."""
        return self.reading and self.reading.text

    @property
    def simplified(self) -> str:
        """For example `-target*log(prediction)`."""
        return self._description.simplified_text

    @property
    def latex(self) -> str | None:
        """Without dollar signs."""
        return self._description.latex

    def python(self, framework: str = "jax") -> str:
        """A Python module that stands alone.

        Args:
          framework: `jax`, `numpy`, `torch`, `keras` or `tensorflow`.

        Raises:
          UserError: for an unknown framework, and a loss that cannot be written for it.
        """
        description = self._description if self.handcrafted is None else describe([self.handcrafted()])[0]
        if framework == "jax":
            return description.python(self.found)
        if framework not in DIALECTS:
            raise unknown("framework", framework, ("jax", *DIALECTS))
        return write(description, DIALECTS[framework], self.found, self.meanings)

    @functools.cached_property
    def _description(self) -> Description:
        if self.reading is None:
            raise UserError(f"the hand-crafted loss '{self.name}' has no formula")
        return describe([self.reading])[0]

    def _repr_latex_(self) -> str | None:
        """For notebooks; None where nothing can be written so, and the name is shown."""
        latex = self.latex if self.reading is not None else None
        return f"$\\displaystyle {latex}$" if latex else None

    def __repr__(self) -> str:
        arrays = " | ".join(", ".join(names) for names in self.inputs.values())
        return f"Loss({self.name!r}: {arrays})"


def make_space(name: str = DEFAULT, **settings: Any) -> Space:
    """The search space of a system, for example to draw from it, or to build another one on it.

    Args:
      name: of the system.
      **settings: keys of its config section, see `python -m jaxloss.launch --help=space.NAME`.

    Raises:
      UserError: for an unknown system or setting, and for a value that is wrong.
    """
    expect("name", name, str, "the name of a system")
    if name not in SYSTEMS:
        raise unknown("space", name, SYSTEMS)
    system = SYSTEMS[name]
    known = [field.name for field in dataclasses.fields(system.settings)]
    if wrong := sorted(settings.keys() - set(known)):
        raise unknown(f"setting of the space {name}", wrong[0], known)
    # As a config takes them, so that a value of another type is named.
    config = default_config()
    apply_overrides(config, {system.settings.key(key): value for key, value in settings.items()})
    return system.make_space(read(config, system.settings))


def parse(
    formula: str, space: str | Space = DEFAULT, ranges: Mapping[str, tuple[float, float]] | None = None, **settings: Any
) -> Loss:
    """Reads a formula.

    Args:
      formula: for example `Neg(Mul(target, Log(prediction)))`.
      space: the name of a system, or a space.
      ranges: input -> (low, high), for what is simplified; any real number where it is not said.
      **settings: of the system's space, such as `max_instructions`.

    Raises:
      UserError: for an unknown system, for a formula that cannot be read, and for an argument of another kind.
    """
    expect("formula", formula, str, "text, such as 'Neg(Mul(target, Log(prediction)))'")
    expect("space", space, (str, Space), "the name of a system, or a Space")
    made = make_space(space, **settings) if isinstance(space, str) else space
    read_loss = loss_of(made, formula)
    if ranges is None:
        return read_loss
    expect_ranges("ranges", ranges, _variables(read_loss))
    return loss_of(made, formula, {branch.name: ranges for branch in made.branches})


def loss(name: str, **hyperparameters: float) -> Loss:
    """A ready loss: hand-crafted, or published by the paper of a system.

    Args:
      name: for example `cross_entropy`, `gce`, `arcface`; `python -m jaxloss.launch --help=loss` lists all.
      **hyperparameters: of a hand-crafted loss, in place of the customary ones.

    Raises:
      UserError: for an unknown name or hyper-parameter, and for a value that is no finite number, or with which it is no loss.
    """
    expect("name", name, str, "the name of a loss")
    if name in FAMILIES:
        family = FAMILIES[name]
        if wrong := sorted(hyperparameters.keys() - family.tuning_ranges.keys()):
            raise unknown(f"hyper-parameter of {name}", wrong[0], family.tuning_ranges)
        for key, value in hyperparameters.items():
            span = family.tuning_ranges[key]
            expect_between(key, value, span.above, span.below)
        return loss_of_family(family, {**family.defaults, **hyperparameters})
    for system in SYSTEMS.values():
        if name in system.published:
            if hyperparameters:
                raise UserError(f"the published loss '{name}' is a formula: it takes no hyper-parameters")
            space = system.make_space(system.settings(**system.published_settings.get(name, {})))
            return dataclasses.replace(loss_of(space, system.published[name]), name=name)
    raise unknown("loss", name, [*FAMILIES, *PUBLISHED], "`python -m jaxloss.launch --help=loss`")


def loss_of_family(
    family: HandcraftedFamily | BranchedFamily,
    hyperparameters: Mapping[str, float],
    ranges: Mapping[str, Mapping[str, ValueRange]] | None = None,
    meanings: Mapping[str, Mapping[str, str]] | None = None,
) -> Loss:
    """A hand-crafted loss with its hyper-parameters; `ranges` and `meanings` as in `loss_of`."""
    families = family.families if isinstance(family, BranchedFamily) else {family.branch or _ONE_BRANCH: family}
    of_one_hot = [branch for branch, one in families.items() if one.one_hot]
    encoded = family.tuned(None, hyperparameters)

    def function(branch_inputs: BranchInputs) -> Array:
        expect_one_hot(family.name, branch_inputs, of_one_hot)
        return family.loss(encoded, branch_inputs)

    handcrafted = functools.partial(reading_of_handcrafted, family, hyperparameters, ranges)
    inputs = {branch or _ONE_BRANCH: names for branch, names in family.reads.items()}
    return Loss(family.name, inputs, function, None, handcrafted, meanings or {})


def loss_of(
    space: Space,
    formula: str,
    ranges: Mapping[str, Mapping[str, ValueRange]] | None = None,
    meanings: Mapping[str, Mapping[str, str]] | None = None,
) -> Loss:
    """The loss of a formula of a space; `ranges` are what its inputs may be, `meanings` what they are, see `Task`."""
    candidate = space.parse(formula)
    inputs = {branch.name: branch.form.inputs for branch in space.branches}
    of_one_hot = [branch.name for branch in space.branches if branch.form.one_hot]
    compiled = space.compile(candidate)

    def function(branch_inputs: BranchInputs) -> Array:
        expect_one_hot(f"this loss of the space {space.name}", branch_inputs, of_one_hot)
        return compiled(branch_inputs)

    return Loss(formula, inputs, function, reading_of(space, candidate, ranges), meanings=meanings or {})


def _variables(read_loss: Loss) -> set[str]:
    """Names of what its formulas are written in: its inputs, and what a form makes of them."""
    formulas = (read_loss.reading and read_loss.reading.formulas) or {}
    return {*itertools.chain(*read_loss.inputs.values(), *(formula.inputs for formula in formulas.values()))}
