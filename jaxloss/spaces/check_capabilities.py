"""Whether what a space can do beside computing its losses works, tried on one candidate."""

from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

import numpy as np

from jaxloss.core.abstract import differences, named_errors, written
from jaxloss.core.errors import UserError
from jaxloss.core.form import Expression, Form
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.program import Layout
from jaxloss.spaces.base import Branch, Candidate, Space

# What functions of a form give: name -> whether it is right, and what would be.
_GIVEN: dict[str, tuple[Callable[[Any], bool], str]] = {
    "latex": (lambda given: isinstance(given, str), "a text"),
    "reads": (lambda given: isinstance(given, Set) and _are(str, given), "a set of names"),
    "graphs": (
        lambda given: isinstance(given, Mapping) and all(map(_is_graph, given.values())),
        "a dict {name: (Graph, Layout)}",
    ),
    "curves": (lambda given: isinstance(given, tuple | list) and _are(Graph, given), "a tuple of Graphs"),
    "ablated": (
        lambda given: isinstance(given, Mapping) and _are(str, given),
        "a dict {text of a term: the expression without it}",
    ),
    "numbers": (lambda given: isinstance(given, Mapping) and _are(_NUMBER, given.values()), "a dict {name: number}"),
}
_NUMBER = int | float | np.number


def check_capabilities(space: Space, candidate: Candidate) -> None:
    """Calls everything that a search, a comparison or a report will ask for.

    Args:
      space: whose fields have the right types.
      candidate: that can be written, read and encoded.

    Raises:
      UserError: one line for the first mistake, with what was expected and what came.
    """
    for branch in space.branches:
        _check_form(f"the branch '{branch.name}' of the space {space.name}", branch.form, candidate[branch.name])
        if space.offspring is not None:
            _check_offspring(space, branch, candidate[branch.name])
    _check_hyperparameters(space, candidate)


def _check_form(where: str, form: Form, expression: Expression) -> None:
    text = form.write(expression)
    if text != text.strip() or len(text.splitlines()) != 1:
        raise UserError(f"write of {where} must give one line without whitespace around it, not {text!r}")
    with named_errors(f"canonical of {where}"):
        canonical = form.canonical(expression)
    with named_errors(f"key of {where}"):
        keys = form.key(expression), form.key(canonical)
    if not isinstance(keys[0], str):
        raise UserError(f"key of {where} must give a text, not {written(keys[0])}")
    if keys[0] != keys[1]:
        raise UserError(f"canonical of {where} must give an expression of the same key: '{keys[0]}' became '{keys[1]}'")
    if form.blank is not None:
        with named_errors(f"blank of {where}"):
            blank = form.encode(form.blank())
        for path, expected, came in differences(form.encode(expression), blank):
            raise UserError(f"blank of {where} must be encoded like all others: {expected} as {path} was expected, {came} came")
    for name, (is_right, expected) in _GIVEN.items():
        function = getattr(form, name)
        if function is None:
            continue
        with named_errors(f"{name} of {where}"):
            given = function(expression)
        if not is_right(given):
            raise UserError(f"{name} of {where} must give {expected}, not {written(given)}")
    if form.smaller is not None:
        _check_smaller(where, form, expression)


def _check_smaller(where: str, form: Form, expression: Expression) -> None:
    with named_errors(f"smaller of {where}"):
        given = form.smaller(expression)
        if not isinstance(given, Iterable):
            raise UserError(f"smaller of {where} must give expressions, not {written(given)}")
        for one in given:
            form.write(one)
            form.encode(one)
            if form.key(one) == form.key(expression):
                raise UserError(f"smaller of {where} gives '{form.write(one)}', the expression that it was given")


def _are(kind: Any, values: Iterable[Any]) -> bool:
    return all(isinstance(value, kind) for value in values)


def _is_graph(pair: Any) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], Graph) and isinstance(pair[1], Layout)


def _check_offspring(space: Space, branch: Branch, parent: Expression) -> None:
    what = f"offspring of the space {space.name}"
    texts = [_offspring(what, space, branch, parent) for _ in range(2)]
    # A search goes on from its seeds where it was stopped.
    if texts[0] != texts[1]:
        raise UserError(
            f"{what} must draw from the generator that it is given alone, but two generators of one seed gave '{texts[0]}' and "
            f"'{texts[1]}'"
        )


def _offspring(what: str, space: Space, branch: Branch, parent: Expression) -> str:
    with named_errors(what):
        given = space.offspring(np.random.default_rng(0), branch, [parent] * space.num_parents)
    if not isinstance(given, tuple) or len(given) != 2 or not isinstance(given[1], str):
        raise UserError(f"{what} must give (expression, origin), the origin a text, not {written(given)}")
    with named_errors(f"writing the {what}"):
        return branch.form.write(given[0])


def _check_hyperparameters(space: Space, candidate: Candidate) -> None:
    what = f"hyperparameters of the space {space.name}"
    with named_errors(what):
        values = space.hyperparameters(candidate)
    if not isinstance(values, Mapping) or not _are(_NUMBER, values.values()):
        raise UserError(f"{what} must give {{name: number}}, not {written(values)}")
    with named_errors(f"with_{what}"):
        space.write(space.with_hyperparameters(candidate, values))
