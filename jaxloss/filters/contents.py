"""The cheapest filter: does the expression look at the prediction and at the target at all?"""

import dataclasses
from collections.abc import Sequence

from jaxloss.core.verdicts import Reason, Verdict
from jaxloss.filters.base import Cost, Screened
from jaxloss.filters.equivalence import GradientMemory
from jaxloss.graphs.form import Expression
from jaxloss.spaces.base import Requirement


class Contents:
    """Stops what lacks an input that its branch requires. See `base.Filter`."""

    name, stage, cost, remembers, compilations = "contents", "a look at the leaves", Cost.DRAW, True, 0

    def __init__(self, required: Sequence[Requirement]):
        """Args:
        required: of the branch, checked in order.
        """
        self._required = tuple(required)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return tuple(requirement.reason for requirement in self._required)

    def check(self, expressions: Sequence[Expression], known: Sequence[Screened], memory: GradientMemory) -> list[Screened]:
        del memory
        return [self._look(*pair) for pair in zip(expressions, known, strict=True)]

    def _look(self, expression: Expression, known: Screened) -> Screened:
        for requirement in self._required:
            if not expression.input_names & requirement.any_of:
                return dataclasses.replace(known, verdict=Verdict(requirement.reason))
        return known
