"""The rows of a sweep in a terminal, and as CSV."""

import csv
import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxloss.report.table import standard_output
from jaxloss.report.words import difference, duration, half_width, score
from jaxloss.sweeps.rows import Row, found_often

_COLUMNS = ("state", "task", "metric", "formula", "loss", "test_mean", "test_low", "test_high", "rival", "lead", "lead_low")
_COLUMNS += ("lead_high", "verdict", "seconds")


def print_rows(rows: Sequence[Row], console: Console | None = None) -> None:
    """Prints a line for each run, and the losses that several runs found."""
    console = console or standard_output()
    table = Table(title=f"{sum(row.test_mean is not None for row in rows)} of {len(rows)} runs")
    table.add_column("run", overflow="fold", min_width=min(20, max(len(row.name) for row in rows)))
    table.add_column("loss", overflow="fold")
    for title in ("test", "lead over the best rival", "time"):
        table.add_column(title, justify="right", overflow="fold")
    for row in rows:
        if row.test_mean is None:
            table.add_row(Text(row.name), Text(row.state, style="dim"), "", "", "")
            continue
        lead = f"{difference(row.lead)} ± {half_width(row.lead_ci95)} ({row.rival})" if row.rival else ""
        result = f"{score(row.test_mean)} ± {half_width(row.test_ci95)}"
        table.add_row(
            Text(row.name), Text(row.loss), result, Text(lead), duration(row.seconds) if row.seconds is not None else ""
        )
    console.print(table)
    for loss, names in found_often(rows):
        console.print(f"found by {len(names)} runs: {loss}", highlight=False, markup=False)


def as_csv(rows: Sequence[Row]) -> str:
    """A line for each run, with the values of its point."""
    keys = list(dict.fromkeys(key for row in rows for key in row.values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *keys, *_COLUMNS])
    for row in rows:
        ends = {"test": row.test_ci95 or (None, None), "lead": row.lead_ci95 or (None, None)}
        found = {**vars(row)}
        for name, (low, high) in ends.items():
            found |= {f"{name}_low": low, f"{name}_high": high}
        writer.writerow([row.name, *(row.values.get(key) for key in keys), *(found[name] for name in _COLUMNS)])
    return text.getvalue()
