"""Whether the fields of a space and of its forms hold what they are declared to hold, before any function is called."""

from collections.abc import Callable, Mapping, Set
from typing import Any

import numpy as np

from jaxloss.core.abstract import written
from jaxloss.core.errors import UserError
from jaxloss.core.form import Form
from jaxloss.graphs.program import Layout
from jaxloss.spaces.base import Branch, Space
from jaxloss.spaces.distribution import Distribution
from jaxloss.spaces.drawing import Drawing
from jaxloss.spaces.fixed import FixedLoss
from jaxloss.spaces.hyperparameters import TuningRange

_FUNCTIONS = ("sample", "hyperparameters", "with_hyperparameters")
_CAPABILITIES = ("offspring", "make_filters", "make_chooser", "write_python")
_CAPABILITIES_OF_A_FORM = ("decode", "reads", "graphs", "curves", "blank", "latex", "smaller", "ablated")


def check_space_fields(space: Space) -> None:
    """Looks at the types of all fields.

    Raises:
      UserError: one line for the first that is of another type, with what was expected and what came.
    """
    _expect("name of the space", space.name, _is_name(space.name), "a text")
    of = f"of the space {space.name}"
    listed = isinstance(space.branches, tuple | list) and all(isinstance(branch, Branch) for branch in space.branches)
    _expect(f"branches {of}", space.branches, listed and space.branches, "a tuple of Branch, one at least")
    for branch in space.branches:
        _check_branch(branch, of)
    names = [branch.name for branch in space.branches]
    if twice := [name for index, name in enumerate(names) if name in names[:index]]:
        raise UserError(f"two branches {of} are called '{twice[0]}': give one another name")
    _check_functions(space, of, _FUNCTIONS, _CAPABILITIES)
    _expect(f"num_parents {of}", space.num_parents, _is_count(space.num_parents), "a whole number, 1 at least")
    for name in ("problems", "sections"):
        _expect(f"{name} {of}", getattr(space, name), _are_names(getattr(space, name)), "a tuple of names")
    known = space.known_losses
    right = isinstance(known, Mapping) and all(isinstance(text, str) for pair in known.items() for text in pair)
    _expect(f"known_losses {of}", known, right, "a dict {name: formula}")
    fixed = space.fixed_losses
    right = isinstance(fixed, Mapping) and all(isinstance(one, FixedLoss) for one in fixed.values())
    _expect(f"fixed_losses {of}", fixed, right, "a dict {branch: FixedLoss}")
    if searched := [name for name in names if name in fixed]:
        raise UserError(f"the branch '{searched[0]}' {of} cannot have a fixed loss: it is searched")
    ranges = space.tuning_ranges
    right = isinstance(ranges, Mapping) and all(isinstance(one, TuningRange) for one in ranges.values())
    _expect(f"tuning_ranges {of}", ranges, right, "a dict {name: TuningRange}")
    learned = space.distribution
    _expect(f"distribution {of}", learned, learned is None or isinstance(learned, Distribution), "a Distribution or None")
    _expect(f"drawing {of}", space.drawing, space.drawing is None or isinstance(space.drawing, Drawing), "a Drawing or None")


def _check_branch(branch: Branch, of_space: str) -> None:
    _expect(f"name of a branch {of_space}", branch.name, _is_name(branch.name), "a text")
    of = f"of the branch '{branch.name}' {of_space}"
    _expect(f"form {of}", branch.form, isinstance(branch.form, Form), "a Form")
    inputs = getattr(branch.form, "inputs", None)
    _expect(f"form.inputs {of}", inputs, _are_names(inputs) and inputs, "a tuple of names, one at least")
    weighs = _is_number(branch.weight) and np.isfinite(branch.weight)
    _expect(f"weight {of}", branch.weight, weighs, "a finite number")
    listed = isinstance(branch.required, tuple | list) and all(
        isinstance(one, Set) and _are_names([*one]) for one in branch.required
    )
    _expect(f"required {of}", branch.required, listed, "a tuple of sets of names, as in (frozenset({'prediction'}),)")
    _check_form(branch.form, f"of the form {of}")


def _check_form(form: Form, of: str) -> None:
    _check_functions(form, of, (), _CAPABILITIES_OF_A_FORM)
    _expect(f"numbers {of}", form.numbers, isinstance(form.numbers, Callable), "a function")
    _expect(f"program {of}", form.program, form.program is None or isinstance(form.program, Layout), "a Layout or None")
    _expect(f"looks_across {of}", form.looks_across, isinstance(form.looks_across, bool), "True or False")
    _expect(f"one_hot {of}", form.one_hot, isinstance(form.one_hot, bool), "True or False")
    right = isinstance(form.ranges, Mapping) and all(map(_is_range, form.ranges.values()))
    _expect(f"ranges {of}", form.ranges, right, "a dict {name: (low, high)} with low < high")


def _check_functions(owner: Any, of: str, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    for name in required:
        _expect(f"{name} {of}", getattr(owner, name), isinstance(getattr(owner, name), Callable), "a function")
    for name in optional:
        value = getattr(owner, name)
        _expect(f"{name} {of}", value, value is None or isinstance(value, Callable), "a function or None")


def _expect(what: str, came: Any, holds: Any, expected: str) -> None:
    if not holds:
        shown = repr(came) if isinstance(came, str | int | float) else written(came)
        raise UserError(f"{what} must be {expected}, not {shown}")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _are_names(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(map(_is_name, value))


def _is_range(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_number, value)) and value[0] < value[1]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value >= 1
