"""The cascade: a list of filters in the order of their cost, and the first reason to stop an expression."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from jaxloss.core.form import Expression, Form
from jaxloss.core.verdicts import ACCEPTED, Reason, Verdict
from jaxloss.filters.base import UNDECIDED, Cost, Filter, Screened
from jaxloss.filters.check import ask
from jaxloss.filters.equivalence import LossMemory

Value = TypeVar("Value")

# Before the first filter; and what a look at one draw remembers.
_UNKNOWN, _EMPTY = Screened(), LossMemory()
# Answers that are kept of every filter, the most recent ones.
REMEMBERED = 200_000


class Remembered(Generic[Value]):
    """Results by key, the least recently asked for dropped first."""

    def __init__(self, capacity: int):
        self._capacity, self._values = capacity, {}

    def of(self, keys: Sequence[str], compute: Callable[[Sequence[str]], Sequence[Value]]) -> list[Value]:
        """The value of each key; `compute` gives those that are not known, each once."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._values]
        fresh = dict(zip(missing, compute(missing), strict=True)) if missing else {}
        values = [fresh[key] if key in fresh else self._values[key] for key in keys]
        for key, value in zip(keys, values, strict=True):
            self._values.pop(key, None)
            self._values[key] = value
        while len(self._values) > self._capacity:
            del self._values[next(iter(self._values))]
        return values


class Cascade:
    """Filters for one branch of a candidate; `look` and `screen` are the two halves, one draw at a time and batched."""

    def __init__(self, branch: str, form: Form, filters: Sequence[Filter], remembered: int = REMEMBERED):
        """Args:
        branch: name of the branch.
        form: of its expressions.
        filters: in any order, see `base.Cost`. What none of them stops is accepted.
        remembered: expressions whose answers are kept, for each filter.
        """
        self.branch, self.form = branch, form
        self.filters = sorted(filters, key=lambda one: one.cost)
        self._looks = [one for one in self.filters if one.cost is Cost.DRAW]
        self._batched = [one for one in self.filters if one.cost is not Cost.DRAW]
        self._answers = {one.name: Remembered(remembered) for one in self._batched if one.remembers}
        self.reasons: dict[str, Reason] = {reason.label: reason for one in self.filters for reason in one.reasons}

    def look(self, expression: Expression) -> Verdict:
        """The filters that cost next to nothing."""
        known = _UNKNOWN
        for one in self._looks:
            (known,) = ask(one, [expression], [known], _EMPTY)
            if known.verdict is not UNDECIDED:
                return known.verdict
        return Verdict(ACCEPTED)

    def screen(self, expressions: Sequence[Expression], memory: LossMemory) -> list[Screened]:
        """All other filters, for expressions that passed `look`; the memory is only read.

        What a filter says of an expression alone is kept: a search proposes the same small graphs again and again.
        """
        keys = [self.form.key(expression) for expression in expressions]
        # In one form for all that share a key: rounding depends on the order in which cotangents are added.
        by_key = {key: self.form.canonical(expression) for key, expression in zip(keys, expressions, strict=True)}
        found = dict.fromkeys(by_key, _UNKNOWN)
        for one in self._batched:
            undecided = [key for key, known in found.items() if known.verdict is UNDECIDED]
            # One answer for every use of a key, so that what is asked for most often is kept longest.
            asked = [key for key in keys if found[key].verdict is UNDECIDED]

            check = functools.partial(_check, one, by_key, found, memory)
            if one.remembers:
                found |= dict(zip(asked, self._answers[one.name].of(asked, check), strict=True))
            elif undecided:
                found |= dict(zip(undecided, check(undecided), strict=True))
        results = [found[key] for key in keys]
        return [
            dataclasses.replace(known, verdict=Verdict(ACCEPTED)) if known.verdict is UNDECIDED else known for known in results
        ]

    def filter(self, name: str) -> Filter:
        """The filter of a name."""
        return next(one for one in self.filters if one.name == name)

    @property
    def compilations(self) -> dict[str, int]:
        """How often each jitted function was compiled."""
        return {one.name: one.compilations for one in self._batched if one.remembers}


def _check(
    one: Filter,
    expressions: Mapping[str, Expression],
    known: Mapping[str, Screened],
    memory: LossMemory,
    keys: Sequence[str],
) -> list[Screened]:
    # Filters of others are seen at work on one expression as a run starts; what they say of all others is seen here.
    return ask(one, [expressions[key] for key in keys], [known[key] for key in keys], memory)
