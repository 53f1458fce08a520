"""What found losses are called in tables: by their place in the ranking."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from jaxloss.spaces.base import Space
from jaxloss.study.ranking import Ranked


def named(ranked: Sequence[Ranked], space: Space, seeds: Iterable[str], of_search: str = "") -> list[Ranked]:
    """The ranked losses, those that are no copy under a name; one of the formulas that the user gave says so."""
    given = frozenset(_key(space, text) for text in seeds)
    places = itertools.count(1)

    def with_name(one: Ranked) -> Ranked:
        name = f"{one.contender.kind.replace('_', ' ')} {of_search}{next(places)}"
        if _key(space, one.contender.formula) in given:
            name += " (a seed)"
        return dataclasses.replace(one, contender=dataclasses.replace(one.contender, name=name))

    return [one if one.same_as else with_name(one) for one in ranked]


def _key(space: Space, formula: str) -> str:
    return space.key(space.parse(formula))
