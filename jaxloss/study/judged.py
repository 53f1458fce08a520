"""How any tested loss of a run stands against its best rival, from what the summary holds. Nothing is trained for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.study.contender import FOUND, RIVALS
from jaxloss.study.statistics import crossed_interval
from jaxloss.study.tables import difference_row


def against_best_rival(summary: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """One tuned loss of the comparison beside the best other rival by search_eval, never by the test.

    In a run that found losses rivals are what people have, as for its headline; in a comparison of given losses all others.

    Args:
      summary: of a finished run.
      name: of the loss in its comparison.

    Returns:
      A row of `tables.difference_rows`, and `is_best_rival`: whether the loss itself is the best rival of the losses that
      were found. None where there is no rival, and where an earlier version kept too little.
    """
    rows = {row["name"]: row for row in summary.get("comparison", [])}
    first, rivals = rows[name], _rivals(list(rows.values()))
    best = next((row for row in rivals if row is not first), None)
    if best is None:
        return None
    itself = rivals[0] is first and first["kind"] in RIVALS and _has_found(list(rows.values()))
    # What the page says is said here, too: an earlier version may have had it from another interval.
    judged = (summary.get("headline") or {}).get("best_rival")
    if judged and (judged["first"], judged["second"]) == (name, best["name"]):
        return {**judged, "is_best_rival": itself}
    scores, others = (
        {(division, seed): score for division, seed, score in row["tuned"].get("scores", [])} for row in (first, best)
    )
    if not scores or scores.keys() != others.keys():
        return None
    interval = crossed_interval({pair: scores[pair] - others[pair] for pair in scores})
    return {**difference_row(name, best["name"], interval, summary.get("margin", 0.0)), "is_best_rival": itself}


def best_row(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The line with the best tuned loss by search_eval; the first where nothing was tuned, None where there is no line."""
    return next(iter([*_best_first(rows), *rows]), None)


def _rivals(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Best first."""
    return _best_first([row for row in rows if row["kind"] in RIVALS] if _has_found(rows) else rows)


def _has_found(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(row["kind"] == FOUND for row in rows)


def _best_first(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that were tuned."""
    tuned = [row for row in rows if row["tuned"].get("search_eval") is not None]
    return sorted(tuned, key=lambda row: -row["tuned"]["search_eval"])
