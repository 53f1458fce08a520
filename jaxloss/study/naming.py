"""What found losses are called in tables: by their place in the ranking."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from jaxloss.spaces.base import Space
from jaxloss.spaces.titles import A_SEED
from jaxloss.study.equal_losses import EqualLosses
from jaxloss.study.ranking import Ranked


def named(
    ranked: Sequence[Ranked], space: Space, seeds: Iterable[str], of_search: str = "", equal_losses: EqualLosses | None = None
) -> list[Ranked]:
    """The ranked losses, those that are no copy under a name; one of the formulas that the search began with says so.

    Args:
      ranked: the best of a search.
      space: of their formulas.
      seeds: formulas that the search began with.
      of_search: stands before the place.
      equal_losses: tells which losses are one of the seeds in other clothes; None takes those of one key.
    """
    given = _given(ranked, space, tuple(seeds), equal_losses)
    places = itertools.count(1)

    def with_name(one: Ranked) -> Ranked:
        name = f"{one.contender.kind.replace('_', ' ')} {of_search}{next(places)}"
        if one.contender.formula in given:
            name += A_SEED
        return dataclasses.replace(one, contender=dataclasses.replace(one.contender, name=name))

    return [one if one.same_as else with_name(one) for one in ranked]


def _given(ranked: Sequence[Ranked], space: Space, seeds: Sequence[str], equal_losses: EqualLosses | None) -> set[str]:
    """Those of the formulas that are one of the seeds, or have a copy that is."""
    keys, formulas = {_key(space, text) for text in seeds}, [one.contender.formula for one in ranked]
    firsts = equal_losses.firsts([*seeds, *formulas])[len(seeds) :] if equal_losses and seeds else [len(seeds)] * len(formulas)
    given = {text for text, first in zip(formulas, firsts, strict=True) if first < len(seeds) or _key(space, text) in keys}
    return given | {one.same_as for one in ranked if one.same_as and one.contender.formula in given}


def _key(space: Space, formula: str) -> str:
    return space.key(space.parse(formula))
