"""What came out of the runs of a sweep, a row for each."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxloss.api.results import open_run
from jaxloss.core.errors import UserError
from jaxloss.study.judged import against_best_rival, best_row
from jaxloss.study.settings import LOCKSTEP
from jaxloss.sweeps.points import Point

FINISHED, UNFINISHED, NOT_BEGUN = "finished", "unfinished", "not begun"


@dataclasses.dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
      name: of its point.
      values: dotted key -> text, what the point changes.
      state: `finished`, `unfinished` or `not begun`.
      task: of the run.
      metric: that it maximises.
      formula: of its loss: what it found, or of a comparison the best on search_eval; None for a hand-crafted one.
      loss: for people: the simplified formula, or a name.
      key: the same for formulas that are the same loss, None for a hand-crafted one.
      test_mean: of the loss, tuned.
      test_ci95: its interval.
      rival: name of the best tuned rival.
      lead: mean of the paired difference to it.
      lead_ci95: its interval.
      verdict: `leads`, `ties` or `is behind`.
      seconds: of the whole run.
    """

    name: str
    values: Mapping[str, str]
    state: str
    task: str | None = None
    metric: str | None = None
    formula: str | None = None
    loss: str | None = None
    key: str | None = None
    test_mean: float | None = None
    test_ci95: tuple[float, float] | None = None
    rival: str | None = None
    lead: float | None = None
    lead_ci95: tuple[float, float] | None = None
    verdict: str | None = None
    seconds: float | None = None


def row_of(point: Point, workdir: Path) -> Row:
    """The row of a point; what its run does not have yet is None."""
    try:
        results = open_run(workdir / point.name)
        summary = results.summary
    except UserError:
        return Row(point.name, point.overrides, NOT_BEGUN)
    if summary is None:
        return Row(point.name, point.overrides, UNFINISHED)
    first = _first(summary)
    if first is None:
        return Row(point.name, point.overrides, FINISHED, summary["task"], summary["metric"])
    rival = against_best_rival(summary, first["name"])
    formula = first["formula"]
    space = results.space
    return Row(
        point.name,
        point.overrides,
        FINISHED,
        task=summary["task"],
        metric=summary["metric"],
        formula=formula,
        loss=first.get("simplified") or first["name"],
        key=space.key(space.parse(formula)) if formula else None,
        test_mean=first["tuned"]["test_mean"],
        test_ci95=tuple(first["tuned"]["test_ci95"]),
        rival=rival and rival["second"],
        lead=rival and rival["mean"],
        lead_ci95=rival and tuple(rival["ci95"]),
        verdict=rival and rival["verdict"],
        seconds=summary["seconds"].get("total"),
    )


def _first(summary: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The line of the comparison that the run is judged by: what it found, else the best on search_eval, never on the test."""
    rows, best = summary.get("comparison", []), summary.get("best")
    named = [row for row in rows if best and row["name"] == best["name"]]
    # Of losses that were learned while networks trained, the first is what the run found.
    found = rows[:1] if summary.get("mode") == LOCKSTEP else []
    return next(iter([*named, *found]), best_row(rows))


def found_often(rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    """Losses that several runs found, as (loss, names of the runs), the most frequent first."""
    runs: dict[str, list[Row]] = collections.defaultdict(list)
    for row in rows:
        if row.key is not None:
            runs[row.key].append(row)
    several = [(min((row.loss for row in same), key=len), [row.name for row in same]) for same in runs.values() if len(same) > 1]
    return sorted(several, key=lambda one: -len(one[1]))
