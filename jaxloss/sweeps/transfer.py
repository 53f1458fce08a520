"""The losses of all runs of a sweep, trained on all of its tasks."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxloss.runs.files import SUMMARY_FILE, has_summary, read_json
from jaxloss.sweeps.points import Point, points_of
from jaxloss.sweeps.rows import Row

# What a comparison takes over from a run: the rest says how losses are searched for.
_TAKEN_OVER = ("task.", "training.", "execution.", "space.")
_FOLDER = "transfer"


def transfer_points(points: Sequence[Point], rows: Sequence[Row]) -> list[Point]:
    """A comparison of the losses that were found on each task of the sweep.

    Args:
      points: of the sweep.
      rows: of its finished runs.
    """
    # Two runs may have found one loss under two formulas, which no comparison takes.
    by_key: dict[str | None, str] = {}
    for row in rows:
        if row.formula:
            by_key.setdefault(row.key, row.formula)
    tasks = [{key: value for key, value in point.overrides.items() if key.startswith(_TAKEN_OVER)} for point in points]
    different = [task for number, task in enumerate(tasks) if task not in tasks[:number]]
    compared = {"mode": "compare", "losses": repr(tuple(by_key.values()))}
    return [Point(f"{_FOLDER}/{one.name}", {**one.overrides, **compared}) for one in points_of(different)]


def is_compared(workdir: Path, point: Point) -> bool:
    """Whether the comparison on a task is finished, with all losses that the sweep has found by now.

    Args:
      workdir: folder of the sweep.
      point: see `transfer_points`.
    """
    if not has_summary(workdir / point.name):
        return False
    rows = read_json(workdir / point.name / SUMMARY_FILE, dict).get("comparison", [])
    return {*ast.literal_eval(point.overrides["losses"])} <= {row["formula"] for row in rows}


def transfer_matrix(points: Sequence[Point], workdir: Path) -> dict[str, Any]:
    """How well each loss does on each task.

    Args:
      points: see `transfer_points`.
      workdir: folder of the sweep.

    Returns:
      `{'tasks': [T], 'losses': [L], 'scores': [L][T] (mean, [low, high]) or None}`; a loss of each task's own is not marked.
    """
    tasks: list[str] = []
    scores: dict[str, dict[str, tuple[float, list[float]]]] = {}
    for point in points:
        path = workdir / point.name
        if not has_summary(path):
            continue
        name = point.name.removeprefix(f"{_FOLDER}/")
        tasks.append(name)
        for row in read_json(path / SUMMARY_FILE, dict).get("comparison", []):
            scores.setdefault(row.get("simplified") or row["name"], {})[name] = (
                row["tuned"]["test_mean"],
                row["tuned"]["test_ci95"],
            )
    return {
        "tasks": tasks,
        "losses": list(scores),
        "scores": [[found.get(task) for task in tasks] for found in scores.values()],
    }
