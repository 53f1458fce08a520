"""The page of a sweep: one HTML file over all of its runs, which links to theirs."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxloss.report.intervals import Axis
from jaxloss.report.page import page_environment
from jaxloss.runs import atomic
from jaxloss.sweeps.rows import Row, found_often
from jaxloss.sweeps.transfer_figure import transfer_figure

PAGE = "sweep.html"


def write_page(workdir: Path, title: str, rows: Sequence[Row], matrix: Mapping[str, Any] | None, command: str) -> Path:
    """Writes `sweep.html`, and returns where it is.

    Args:
      workdir: folder of the sweep.
      title: of the page.
      rows: of its runs.
      matrix: see `transfer.transfer_matrix`; None for none.
      command: that repeats the sweep.
    """
    tested = [row for row in rows if row.test_mean is not None]
    axis = _axis(tested)
    page = (
        page_environment("jaxloss.sweeps")
        .get_template("sweep.html.j2")
        .render(
            title=title,
            rows=[(row, axis.mark(row.test_mean, row.test_ci95) if row in tested else None) for row in rows],
            axis=axis,
            often=found_often(rows),
            matrix=matrix if matrix and matrix["tasks"] else None,
            picture=transfer_figure(matrix) if matrix and matrix["tasks"] else None,
            best_of_task=_best_of_task(matrix) if matrix else {},
            command=command,
            num_tested=len(tested),
            written=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )
    target = workdir / PAGE
    atomic.write_text(target, page)
    return target


def _axis(rows: Sequence[Row]) -> Axis | None:
    """From the lowest to the highest interval."""
    if not rows:
        return None
    low, high = min(row.test_ci95[0] for row in rows), max(row.test_ci95[1] for row in rows)
    pad = 0.05 * (high - low) or 0.01
    return Axis(low - pad, high + pad)


def _best_of_task(matrix: Mapping[str, Any]) -> dict[int, float]:
    """Column of the matrix -> the highest mean in it."""
    columns = enumerate(zip(*matrix["scores"], strict=True))
    return {number: max(one[0] for one in column if one) for number, column in columns if any(column)}
