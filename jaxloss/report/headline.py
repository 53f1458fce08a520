"""What a finished run is judged by: its loss beside the best tuned rival, and beside the best of random search."""

from collections.abc import Mapping, Sequence
from typing import Any

BEST_RIVAL, RANDOM_SEARCH = "best_rival", "random_search"


def headline_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of the two differences, None where there is no such loss: those of the summary, or of what it holds.

    Summaries of earlier versions name none.
    """
    if "headline" in summary:
        return dict(summary["headline"])
    differences = {row["second"]: row for row in summary.get("differences", [])}
    rows = [row for row in summary.get("comparison", []) if row["name"] in differences]
    rivals = [row for row in rows if row["kind"] == "handcrafted" or "best" not in summary]
    control = [row for row in rows if row["kind"] == RANDOM_SEARCH]
    return {name: differences.get(_best(one)) for name, one in ((BEST_RIVAL, rivals), (RANDOM_SEARCH, control))}


def _best(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Name of the loss with the best tuned score on search_eval."""
    scores = {row["name"]: row["tuned"]["search_eval"] for row in rows if row["tuned"]["search_eval"] is not None}
    return max(scores, key=scores.get, default=None)
