"""The cheapest filter: does the expression look at the prediction and at the target at all?"""

import dataclasses
import functools
from collections.abc import Sequence

from jaxloss.core.errors import UserError
from jaxloss.core.form import Expression, Form
from jaxloss.core.verdicts import Reason, Verdict
from jaxloss.filters.base import Cost, Screened
from jaxloss.filters.equivalence import LossMemory

_CONSEQUENCES = {"prediction": "nothing to learn from", "target": "it cannot know what is right"}


class Contents:
    """Stops what lacks an input that its branch requires. See `base.Filter`."""

    name, title, cost, remembers, compilations = "contents", "a look at the leaves", Cost.DRAW, True, 0

    def __init__(self, form: Form, required: Sequence[frozenset[str]]):
        """Args:
        form: of the expressions.
        required: of the branch, checked in order.

        Raises:
          UserError: when the form cannot say what its expressions read.
        """
        if form.reads is None:
            raise UserError(f"a branch requires {_listed(required[0])}, and its form {type(form).__name__} has no 'reads'")
        self._form = form
        self._required = {any_of: missing(any_of) for any_of in required}

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """See `base.Filter.reasons`."""
        return tuple(self._required.values())

    def check(self, expressions: Sequence[Expression], known: Sequence[Screened], memory: LossMemory) -> list[Screened]:
        """See `base.Filter.check`."""
        del memory
        return [self._look(*pair) for pair in zip(expressions, known, strict=True)]

    def _look(self, expression: Expression, known: Screened) -> Screened:
        read = self._form.reads(expression)
        for any_of, reason in self._required.items():
            if not read & any_of:
                return dataclasses.replace(known, verdict=Verdict(reason))
        return known


@functools.cache
def missing(any_of: frozenset[str]) -> Reason:
    """Why an expression is stopped that reads none of these inputs."""
    label = "no_" + "_or_".join(sorted(any_of))
    consequence = next((words for name, words in _CONSEQUENCES.items() if name in any_of), "it cannot train")
    return Reason(label, f"does not contain the {_listed(any_of)}: {consequence}", leaves_row=False)


def _listed(any_of: frozenset[str]) -> str:
    return " or ".join(sorted(any_of))
