"""Writes a found loss as Python, LaTeX, SymPy or text: `python -m jaxloss.export WORKDIR --rank=1 --format=python`."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_collections

from jaxloss.core.errors import UserError, unknown
from jaxloss.runs import atomic
from jaxloss.runs.directory import Run, open_for_reading
from jaxloss.runs.rows import WHOLE
from jaxloss.symbolic.describe import Description, candidate_formulas, describe_formulas
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


def export(workdir: str | Path, rank: int = 1, format: str = "python", space=None, time_limit: float = DEFAULT_TIME_LIMIT) -> str:
    """The text of one loss of a run.

    Args:
      workdir: the run's directory.
      rank: 1 is the best.
      format: one of `FORMATS`.
      space: the space of the run; by default it is made from the run's config.
      time_limit: seconds that SymPy may think about each formula.

    Raises:
      UserError: no such run, rank or format, or no time at all.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if not 0 < time_limit < math.inf:
        raise UserError(f"time_limit must be a number of seconds above 0, not {time_limit:g}")
    with open_for_reading(workdir) as run:
        ranked, config, ranges = ranking(run), run.config, run.archive.state(STORED_RANGES)
    if not 1 <= rank <= len(ranked):
        raise UserError(f"there is no rank {rank}: the run in '{workdir}' has {len(ranked)} ranked losses, counted from 1")
    if space is None:
        # Loaded here: wiring knows every room, and a caller that brings a space needs none of them.
        from jaxloss.wiring import make_space

        space = make_space(ml_collections.ConfigDict(config))
    entry = ranked[rank - 1]
    candidate = candidate_formulas(space, space.parse(entry["formula"]), ranges)
    description = describe_formulas([candidate], time_limit)[0]
    if format == "python":
        return description.python(_found(space, workdir, rank, len(ranked), entry))
    return _other(description, format) + "\n"


def _other(description: Description, format: str) -> str:
    if format == "latex":
        return description.latex
    if format == "sympy":
        return description.sympy
    lines = [description.text, description.simplified_text]
    return "\n".join([*lines, f"simplified for {description.domain}"] if description.domain else lines)


def _found(space, workdir: str | Path, rank: int, num_ranked: int, entry: dict[str, Any]) -> str:
    """How the loss was found, for the docstring."""
    lines = [f"Found by jaxloss in the space {space.name}: rank {rank} of {num_ranked} in the run '{Path(workdir).name}'."]
    # A loss that was not trained again has the single score of the search only.
    for key, words in (("search_eval", "mean score on search_eval"), ("search_score", "score in the search")):
        if isinstance(entry.get(key), (int, float)):
            lines.append(f"{words.capitalize()}: {entry[key]:.6g}.")
    if len(space.branches) > 1:
        lines.append("Branch weights: " + ", ".join(f"{branch.name} {branch.weight:g}" for branch in space.branches) + ".")
    return "\n".join(lines)


class _Parser(argparse.ArgumentParser):
    """Mistakes in one line, as everywhere else."""

    def error(self, message: str):
        raise UserError(f"{message}. {' '.join(self.format_usage().split())}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = _Parser(prog="python -m jaxloss.export", description="Writes a found loss as code or formula.")
    parser.add_argument("workdir", help="directory of a run")
    parser.add_argument("--rank", type=int, default=1, help="1 is the best (default)")
    parser.add_argument("--format", default="python", help=f"{', '.join(FORMATS)} (default: python)")
    parser.add_argument("--output", help="file to write; standard output by default")
    parser.add_argument("--time_limit", type=float, default=DEFAULT_TIME_LIMIT, help="seconds for the simplification")
    try:
        options = parser.parse_args(arguments)
        text = export(options.workdir, options.rank, options.format, time_limit=options.time_limit)
        if options.output:
            _write(options.output, text)
        else:
            sys.stdout.write(text)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _write(path: str, text: str) -> None:
    try:
        atomic.write_text(path, text)
    except OSError as error:
        raise UserError(f"cannot write '{path}': {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
