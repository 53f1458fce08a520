"""All metrics of all losses, and single metrics part by part: tables of means over the trainings on the test split."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Cell:
    """A mean over the trainings of a loss.

    Attributes:
      mean: None where there is no value.
      deviation: standard deviation of single trainings; None where there are fewer than two, or only their mean is known.
      is_best: no other of its row or column is higher.
    """

    mean: float | None
    deviation: float | None = None
    is_best: bool = False


def metric_matrix(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tuned losses by the metrics of the task, the one that is judged by first; None for a task with one metric.

    Returns:
      `{'metrics': [name], 'rows': [(name of the loss, [Cell])]}`, rows as they stand in the comparison; the best of each
      column is marked where there are several rows.
    """
    metrics, rows = [summary.get("metric"), *summary.get("also_shown", [])], summary.get("comparison", [])
    if len(metrics) < 2 or not rows:
        return None
    columns = [_best_marked([_cell(row["tuned"], name, summary["metric"]) for row in rows]) for name in metrics]
    return {
        "metrics": metrics,
        "rows": [(row["name"], cells) for row, cells in zip(rows, zip(*columns, strict=True), strict=True)],
    }


def part_tables(summary: Mapping[str, Any], first: str | None, rival: str | None) -> list[dict[str, Any]]:
    """What the task shows part by part, of the loss in question and of those that it is held against.

    Args:
      summary: of the run.
      first: name of that loss.
      rival: name of its best tuned rival.

    Returns:
      For each table `{'title', 'losses': [name], 'rows': [(part, [Cell])]}`: the baseline, the rival and the loss, each once.
      Tables whose values no training has, as those of an earlier version, are left out.
    """
    by_name = {row["name"]: row["tuned"] for row in summary.get("comparison", [])}
    losses = [name for name in dict.fromkeys((summary.get("baseline"), rival, first)) if name in by_name]
    tables = []
    for title, parts in summary.get("parts", []):
        rows = [(part, _best_marked([_cell(by_name[loss], name) for loss in losses])) for part, name in parts]
        if any(cell.mean is not None for _, cells in rows for cell in cells):
            tables.append({"title": title, "losses": losses, "rows": rows})
    return tables


def _cell(result: Mapping[str, Any], name: str, metric: str | None = None) -> Cell:
    """The mean of a score over the trainings that have it."""
    values = [value for value in result.get("test_scores", {}).get(name, []) if value is not None]
    if values:
        return Cell(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)
    if name == metric:
        return Cell(result["test_mean"], result.get("test_deviation"))
    return Cell(result.get("test_means", {}).get(name))


def _best_marked(cells: Sequence[Cell]) -> list[Cell]:
    means = [cell.mean for cell in cells if cell.mean is not None]
    if len(set(means)) < 2:
        return list(cells)
    return [dataclasses.replace(cell, is_best=cell.mean == max(means)) for cell in cells]
