"""Every candidate that was trained, as the page draws and lists it, and all that were proposed, as a file for spreadsheets."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxloss.runs.rows import WHOLE, CandidateRow

# The page stays small, however long the search was.
MOST_LISTED = 2_000
MOST_ANCESTORS = 4_000
MOST_DRAWN = 8
COLUMNS = ("search", "proposal", "branch", "formula", "origin", "parent", "reason", "score", "training", "gain", "seconds")


def num_operators(formula: str) -> int:
    """How many operators a formula has as it is written: each has its operands in brackets."""
    return formula.count("(")


def candidate_data(searches: Mapping[str, Sequence[CandidateRow]]) -> dict[str, Any] | None:
    """What the page knows of the candidates, as JSON values; None where none was trained.

    Args:
      searches: name -> its rows.

    Returns:
      `points`: the trained candidates, or the best of them where there are very many, each a list of search (its place in
      `searches`), proposal, number of the training, score, number of operators, formula, origin, and proposal of its parent or
      None. `ancestors`: the same of those from which one of the points descends and that are none. `searches`: names. `total`:
      how many were trained with a score.
    """
    points, untrained = [], {}
    for place, rows in enumerate(searches.values()):
        trained = 0
        for row in sorted((row for row in rows if row.branch == WHOLE), key=lambda row: row.proposal):
            trained += row.training
            known = [place, row.proposal, trained, row.score, num_operators(row.formula), row.formula, row.origin, row.parent]
            if row.training and row.score is not None:
                points.append(known)
            else:
                untrained[place, row.proposal] = known
    if not points:
        return None
    chosen = sorted(points, key=lambda point: -point[3])[:MOST_LISTED]
    return {
        "searches": list(searches),
        "points": chosen,
        "ancestors": _ancestors(chosen, {**untrained, **{(point[0], point[1]): point for point in points}}),
        "total": len(points),
    }


def front_formulas(data: Mapping[str, Any] | None) -> list[str]:
    """Formulas of the candidates that no smaller formula beats, the best ones where there are many.

    Args:
      data: see `candidate_data`.
    """
    front: list[list] = []
    for point in sorted(data["points"] if data else (), key=lambda point: (point[4], -point[3])):
        if not front or point[3] > front[-1][3]:
            front.append(point)
    return list(dict.fromkeys(point[5] for point in front[-MOST_DRAWN:]))


def _ancestors(chosen: Sequence[list], known: Mapping[tuple[int, int], list]) -> list[list]:
    """Those of the known candidates from which the chosen ones descend, and that are not among them.

    Where there are very many, those of the last of the chosen ones, and the eldest, are left out.
    """
    found: dict[tuple[int, int], list] = {}
    listed = {(point[0], point[1]) for point in chosen}
    for place, *_, parent in chosen:
        while parent is not None and (place, parent) in known and (place, parent) not in found:
            if len(found) == MOST_ANCESTORS:
                return list(found.values())
            if (place, parent) not in listed:
                found[place, parent] = known[place, parent]
            elif listed:
                break  # its own ancestors come with it
            parent = known[place, parent][-1]
    return list(found.values())


def as_csv(rows: Iterable[CandidateRow]) -> str:
    """All candidates of an archive, a line each; a score that there is not is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in COLUMNS])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    # A spreadsheet would take text that begins so for a formula of its own.
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" and value else value
