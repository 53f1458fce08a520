"""The outcome of a run as a cell of a notebook shows it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxloss.report.page import page_environment
from jaxloss.report.table import judged_in_words

_MOST_RANKED = 10


def results_html(path: Path, summary: Mapping[str, Any] | None, ranking: Sequence[Mapping[str, Any]] = ()) -> str:
    """The best loss, the comparison, best first, and how sure that is; of an unfinished run the best losses so far.

    Args:
      path: of the run.
      summary: of any mode; None where there is none yet.
      ranking: of an unfinished run, best first.
    """
    known = summary or {}
    rows = sorted(known.get("comparison", []), key=lambda row: -row["tuned"]["test_mean"])
    content = {
        "finished": summary is not None,
        "path": str(path),
        "task": known.get("task", ""),
        "metric": known.get("metric", ""),
        "latex": known.get("best", {}).get("latex"),
        "rows": rows,
        "ranking": ranking[:_MOST_RANKED],
        "judged": list(judged_in_words(known)) if rows else [],
    }
    return page_environment().get_template("results.html.j2").render(content)
