"""The outcome of a run as a cell of a notebook shows it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxloss.report.curves import SearchCurve
from jaxloss.report.figures import search_figure
from jaxloss.report.intervals import score_axis
from jaxloss.report.leaders import math_of
from jaxloss.report.page import page_environment
from jaxloss.report.table import judged_in_words

_MOST_RANKED = 10


def results_html(
    path: Path,
    summary: Mapping[str, Any] | None,
    ranking: Sequence[Mapping[str, Any]] = (),
    curves: Sequence[SearchCurve] = (),
) -> str:
    """The best loss, the comparison, best first, and how sure that is; of an unfinished run the best losses so far.

    Not every notebook typesets LaTeX within HTML: the formula is drawn, where that is possible.

    Args:
      path: of the run.
      summary: of any mode; None where there is none yet.
      ranking: of an unfinished run, best first.
      curves: of its searches, which are drawn; none for no picture.
    """
    known = summary or {}
    rows = sorted(known.get("comparison", []), key=lambda row: -row["tuned"]["test_mean"])
    axis = score_axis(rows) if rows else None
    content = {
        "finished": summary is not None,
        "path": str(path),
        "task": known.get("task", ""),
        "metric": known.get("metric", ""),
        "latex": known.get("best", {}).get("latex"),
        "math": math_of(known.get("best", {})),
        "rows": [(row, axis.mark(row["tuned"]["test_mean"], row["tuned"]["test_ci95"])) for row in rows],
        "axis": axis,
        "ranking": ranking[:_MOST_RANKED],
        "judged": list(judged_in_words(known)) if rows else [],
        "picture": search_figure(curves, known.get("metric", "score")) if curves else None,
    }
    return page_environment().get_template("results.html.j2").render(content)
