"""The losses of all runs of a sweep, trained on all of its tasks."""

import ast
from collections.abc import Mapping, Sequence
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
    tasks = [_task_of(point.overrides) for point in points]
    different = [task for number, task in enumerate(tasks) if task not in tasks[:number]]
    compared = {"mode": "compare", "losses": repr(tuple(_formulas(rows).values()))}
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


def transfer_matrix(points: Sequence[Point], rows: Sequence[Row], workdir: Path) -> dict[str, Any]:
    """How well each loss does on each task.

    Args:
      points: see `transfer_points`.
      rows: of the finished runs of the sweep, which say on what task a loss was found.
      workdir: folder of the sweep.

    Returns:
      `{'tasks': [T], 'losses': [L], 'scores': [L][T] (mean, [low, high]) or None, 'found_on': [L][T] bool}`.
    """
    formulas = _formulas(rows)
    finished = [point for point in points if has_summary(workdir / point.name)]
    scores: dict[str, list[tuple[float, list[float]] | None]] = {}
    words: dict[str, str] = {}
    for column, point in enumerate(finished):
        for row in read_json(workdir / point.name / SUMMARY_FILE, dict).get("comparison", []):
            # Not by its simplified form: two losses may look alike there.
            loss = row["formula"] or row["name"]
            words.setdefault(loss, row.get("simplified") or row["name"])
            scores.setdefault(loss, [None] * len(finished))[column] = (row["tuned"]["test_mean"], row["tuned"]["test_ci95"])
    homes = {
        formula: [_task_of(row.values) for row in rows if row.formula and row.key == key] for key, formula in formulas.items()
    }
    return {
        "tasks": [point.name.removeprefix(f"{_FOLDER}/") for point in finished],
        "losses": list(words.values()),
        "scores": list(scores.values()),
        "found_on": [[_task_of(point.overrides) in homes.get(loss, []) for point in finished] for loss in scores],
    }


def _formulas(rows: Sequence[Row]) -> dict[str | None, str]:
    """Key -> formula of the losses that were found: no comparison takes one loss under two formulas, which two runs may have."""
    by_key: dict[str | None, str] = {}
    for row in rows:
        if row.formula:
            by_key.setdefault(row.key, row.formula)
    return by_key


def _task_of(overrides: Mapping[str, str]) -> dict[str, str]:
    """What a comparison takes over from a run."""
    return {key: value for key, value in overrides.items() if key.startswith(_TAKEN_OVER)}
