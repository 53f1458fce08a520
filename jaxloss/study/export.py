"""The losses of a run, best first, and each of them as Python, LaTeX, SymPy or text."""

import math
from pathlib import Path
from typing import Any

from jaxloss.core.errors import UserError, unknown
from jaxloss.runs.directory import Run, open_for_reading
from jaxloss.runs.rows import WHOLE
from jaxloss.spaces.base import Space
from jaxloss.symbolic.describe import Description, describe
from jaxloss.symbolic.reading import reading_of
from jaxloss.symbolic.simplify import DEFAULT_TIME_LIMIT
from jaxloss.tasks.base import STORED_RANGES

FORMATS = ("python", "latex", "sympy", "text")


def ranking(run: Run) -> list[dict[str, Any]]:
    """The losses of a run, best first, each with `formula` and `search_eval` or `search_score`.

    They come from the summary; a run that is not finished is ranked by the scores in its archive.
    """
    summary = run.read_summary()
    if summary and summary.get("ranking"):
        return list(summary["ranking"])
    best: dict[str, dict[str, Any]] = {}
    for row in run.archive.candidates():
        if row.branch != WHOLE or row.score is None or not math.isfinite(row.score):
            continue
        if row.key not in best or row.score > best[row.key]["search_score"]:
            best[row.key] = {"formula": row.formula, "search_score": row.score}
    return sorted(best.values(), key=lambda entry: -entry["search_score"])


def export(
    workdir: str | Path, space: Space, rank: int = 1, format: str = "python", time_limit: float = DEFAULT_TIME_LIMIT
) -> str:
    """The text of one loss of a run.

    Args:
      workdir: the run's directory.
      space: the space of the run.
      rank: 1 is the best.
      format: one of `FORMATS`.
      time_limit: seconds that SymPy may think about each formula.

    Raises:
      UserError: no such run, rank or format, or no time at all.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if not 0 < time_limit < math.inf:
        raise UserError(f"time_limit must be a number of seconds above 0, not {time_limit:g}")
    with open_for_reading(workdir) as run:
        ranked, ranges = ranking(run), run.archive.state(STORED_RANGES)
    if not 1 <= rank <= len(ranked):
        raise UserError(f"there is no rank {rank}: the run in '{workdir}' has {len(ranked)} ranked losses, counted from 1")
    entry = ranked[rank - 1]
    (description,) = describe([reading_of(space, space.parse(entry["formula"]), ranges)], time_limit)
    if format == "python":
        return description.python(_found(space, workdir, rank, len(ranked), entry))
    text = _other(description, format)
    return "\n".join([text, *_of_its_class(entry)] if format == "text" else [text]) + "\n"


def _other(description: Description, format: str) -> str:
    if format == "latex" and description.latex is not None:
        return description.latex
    if format == "sympy" and description.formulas:
        return description.sympy
    if format != "text":
        raise UserError(
            f"a loss without a formula cannot be written as {format}: there is text, latex where its form has `latex`, "
            "and python where its space has `write_python`"
        )
    if not description.formulas:
        return description.text
    lines = [
        description.text,
        description.simplified_text,
        *([f"~ {description.decimal_text}"] if description.decimal_text else []),
    ]
    return "\n".join([*lines, f"simplified for {description.domain}"] if description.domain else lines)


def _of_its_class(entry: dict[str, Any]) -> list[str]:
    """What the run says of other formulas of the same loss; nothing where an earlier version wrote its summary."""
    lines = []
    if minimal := entry.get("minimal"):
        lines.append(f"Without terms that do nothing on the task of that run: {minimal['formula']} = {minimal['simplified']}")
    if entry.get("merged", 1) > 1:
        lines.append(f"Merged: {entry['merged']} formulas that were found are this loss on that task.")
    if entry.get("trained", entry["formula"]) != entry["formula"]:
        lines.append(f"The scores are those of {entry['trained']}, which is the same loss there.")
    return lines


def _found(space: Space, workdir: str | Path, rank: int, num_ranked: int, entry: dict[str, Any]) -> str:
    """How the loss was found, for the docstring."""
    lines = [f"Found by jaxloss in the space {space.name}: rank {rank} of {num_ranked} in the run '{Path(workdir).name}'."]
    # A loss that was not trained again has the single score of the search only.
    for key, words in (("search_eval", "mean score on search_eval"), ("search_score", "score in the search")):
        if isinstance(entry.get(key), (int, float)):
            lines.append(f"{words.capitalize()}: {entry[key]:.6g}.")
    if tuned := entry.get("tuned"):
        values = {"learning_rate": tuned["learning_rate"], **tuned["hyperparameters"]}
        words = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        lines.append(f"Tuned for the comparison of that run: {words}. What stands below is the loss as the search left it.")
    lines += _of_its_class(entry)
    if len(space.branches) > 1:
        lines.append("Branch weights: " + ", ".join(f"{branch.name} {branch.weight:g}" for branch in space.branches) + ".")
    return "\n".join(lines)
