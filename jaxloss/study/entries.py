"""The ranking of a search as its summary holds it: an entry for each loss, whatever dresses it was found in."""

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jaxloss.search.loop import SearchLoop
from jaxloss.study.comparison import TestResult
from jaxloss.study.equal_losses import EqualLosses
from jaxloss.study.ranking import Ranked

NUM_ENTRIES = 10
# Of the search's best, how many are looked at to fill the entries behind those that were ranked.
_LOOKED_AT = 60


def ranking_entries(
    loop: SearchLoop, ranked: Sequence[Ranked], tuned: Sequence[TestResult], equal_losses: EqualLosses | None
) -> list[dict[str, Any]]:
    """The best of the search: the tuned ones, those that were ranked on fresh seeds, the others by their search score.

    Args:
      loop: of the search.
      ranked: its best, with their scores on fresh seeds.
      tuned: those that took part in the comparison, best first.
      equal_losses: tells which losses are one; None for a task that offers nothing to tell it by.

    Returns:
      Entries with `rank`; `formula`, the shortest of those that are this loss; `trained`, the one whose scores these are;
      `merged`, how many of them were found; `search_eval` and `search_score`; `tuned`, the rate and the hyper-parameters of the
      comparison, for the losses that took part.
    """
    points = {result.contender.formula: dataclasses.asdict(result.point) for result in tuned}
    fresh = {one.contender.formula: one.score for one in ranked}
    scores = {one.text: one.score for one in loop.search.best()}
    members = _members(ranked, list(points))
    merged = _with_rest(members, loop, fresh, equal_losses)
    shown = itertools.islice(merged.items(), max(NUM_ENTRIES, len(members)))
    return [
        {
            "rank": rank,
            # Equal scores alone do not show that a shorter formula is the loss that was trained.
            "formula": trained if equal_losses is None else equal_losses.shortest(formulas),
            "trained": trained,
            "merged": len(formulas),
            "search_eval": fresh.get(trained),
            "search_score": scores[trained],
            "tuned": points.get(trained),
        }
        for rank, (trained, formulas) in enumerate(shown, start=1)
    ]


def _members(ranked: Sequence[Ranked], tuned: Sequence[str]) -> dict[str, list[str]]:
    """The formulas of each loss that was ranked, by the one whose scores are its scores; the tuned ones first."""
    members: dict[str, list[str]] = {formula: [] for formula in tuned}
    for one in ranked:
        members.setdefault(one.same_as or one.contender.formula, []).append(one.contender.formula)
    return members


def _with_rest(
    members: Mapping[str, list[str]], loop: SearchLoop, ranked: Collection[str], equal_losses: EqualLosses | None
) -> dict[str, list[str]]:
    """The losses that were ranked, and behind them the best of the search that are none of these, each once."""
    best = (one.text for one in itertools.islice(loop.search.best(), _LOOKED_AT))
    formulas = [*members, *(text for text in best if text not in ranked)]
    firsts = range(len(formulas)) if equal_losses is None else equal_losses.firsts(formulas)
    merged = {formula: list(listed) for formula, listed in members.items()}
    for index in range(len(members), len(formulas)):
        merged.setdefault(formulas[firsts[index]], []).append(formulas[index])
    return merged
