"""Losses as functions of arrays: found ones, formulas, and ready ones by name."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax.numpy as jnp

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.family import BranchInputs
from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.base import Space
from jaxloss.spaces.families import FAMILIES
from jaxloss.symbolic.describe import Description, describe
from jaxloss.symbolic.domain import ValueRange
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
    """

    name: str
    inputs: Mapping[str, tuple[str, ...]]
    function: Callable[[BranchInputs], Array]
    reading: Reading | None = None

    def __call__(self, *arrays, mask: Array | None = None, weights: Array | None = None, **named: Array) -> Array:
        """The loss, a scalar.

        Args:
          *arrays: in the order of `inputs`, or one mapping branch -> {name: array}.
          mask: False on void positions, `[N]` or `[N, H, W]`, with or without a last axis of 1.
          weights: non-negative, of the same shape.
          **named: the same arrays by name.

        Raises:
          UserError: names an array that is missing, unknown, given twice, or of another rank.
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
            {name: _loss_inputs(given.get(name, {}), names, mask, weights) for name, names in self.inputs.items()}
        )

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

    def python(self) -> str:
        """A Python module that stands alone."""
        return self._description.python()

    @functools.cached_property
    def _description(self) -> Description:
        if self.reading is None:
            raise UserError(f"the hand-crafted loss '{self.name}' has no formula")
        return describe([self.reading])[0]

    def __repr__(self) -> str:
        arrays = " | ".join(", ".join(names) for names in self.inputs.values())
        return f"Loss({self.name!r}: {arrays})"


def make_space(name: str = DEFAULT, **settings) -> Space:
    """The search space of a system, for example to draw from it, or to build another one on it.

    Args:
      name: of the system.
      **settings: keys of its config section, see `python -m jaxloss.launch --help=space.NAME`.

    Raises:
      UserError: for an unknown system or setting.
    """
    if name not in SYSTEMS:
        raise unknown("space", name, SYSTEMS)
    system = SYSTEMS[name]
    known = [field.name for field in dataclasses.fields(system.settings)]
    if wrong := sorted(settings.keys() - set(known)):
        raise unknown(f"setting of the space {name}", wrong[0], known)
    return system.make_space(system.settings(**settings))


def parse(
    formula: str, space: str | Space = DEFAULT, ranges: Mapping[str, tuple[float, float]] | None = None, **settings
) -> Loss:
    """Reads a formula.

    Args:
      formula: for example `Neg(Mul(target, Log(prediction)))`.
      space: the name of a system, or a space.
      ranges: input -> (low, high), for what is simplified; any real number where it is not said.
      **settings: of the system's space, such as `max_instructions`.

    Raises:
      UserError: for an unknown system, and for a formula that cannot be read.
    """
    made = make_space(space, **settings) if isinstance(space, str) else space
    return loss_of(made, formula, {branch.name: ranges or {} for branch in made.branches})


def loss(name: str, **hyperparameters: float) -> Loss:
    """A ready loss: hand-crafted, or published by the paper of a system.

    Args:
      name: for example `cross_entropy`, `gce`, `arcface`.
      **hyperparameters: of a hand-crafted loss, in place of the customary ones.

    Raises:
      UserError: for an unknown name or hyper-parameter.
    """
    if name in FAMILIES:
        family = FAMILIES[name]
        if wrong := sorted(hyperparameters.keys() - family.tuning_ranges.keys()):
            raise unknown(f"hyper-parameter of {name}", wrong[0], family.tuning_ranges)
        encoded = family.encode({**family.defaults, **hyperparameters})
        return Loss(name, {_ONE_BRANCH: family.inputs}, functools.partial(family.loss, encoded))
    for system in SYSTEMS.values():
        if name in system.published:
            if hyperparameters:
                raise UserError(f"the published loss '{name}' is a formula: it takes no hyper-parameters")
            return dataclasses.replace(loss_of(make_space(system.name), system.published[name]), name=name)
    raise unknown("loss", name, [*FAMILIES, *PUBLISHED])


def loss_of(space: Space, formula: str, ranges: Mapping[str, Mapping[str, ValueRange]] | None = None) -> Loss:
    """The loss of a formula of a space; `ranges` are what its inputs may be, see `Task.ranges`."""
    candidate = space.parse(formula)
    inputs = {branch.name: branch.form.inputs for branch in space.branches}
    return Loss(formula, inputs, space.compile(candidate), reading_of(space, candidate, ranges))


def _loss_inputs(given: Mapping[str, Array], names: tuple[str, ...], mask: Array | None, weights: Array | None) -> LossInputs:
    missing, other = [name for name in names if name not in given], sorted(given.keys() - set(names))
    if missing or other:
        wrong = f"'{missing[0]}' is missing" if missing else f"there is no '{other[0]}'"
        raise UserError(f"the loss takes {', '.join(names)}: {wrong}")
    arrays = {name: jnp.asarray(given[name]) for name in names}
    for name, array in arrays.items():
        if array.ndim not in (2, 4):
            raise UserError(f"'{name}' must be an array [N, C] or [N, H, W, C], not of shape {list(array.shape)}")
    grid = next(iter(arrays.values())).shape[:-1]
    positions = (*grid, 1) if len(grid) == 3 else (*grid, 1, 1, 1)
    arrays = {name: array if array.ndim == 4 else array[:, None, None] for name, array in arrays.items()}
    return LossInputs.create(
        arrays,
        None if mask is None else jnp.reshape(jnp.asarray(mask, bool), positions),
        None if weights is None else jnp.reshape(jnp.asarray(weights), positions),
    )
