"""The losses of a run, best first, and each of them as code, LaTeX, SymPy or text."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxloss.core.errors import UserError, unknown
from jaxloss.runs.directory import Run, open_for_reading
from jaxloss.runs.rows import WHOLE
from jaxloss.spaces.base import Space
from jaxloss.spaces.branched import BranchedFamily
from jaxloss.spaces.families import branch_families
from jaxloss.spaces.handcrafted import HandcraftedFamily
from jaxloss.spaces.titles import loss_name
from jaxloss.study.contender import TUNING_WORDS
from jaxloss.study.handcrafted_export import reading_of_handcrafted
from jaxloss.study.provenance import of_its_class, provenance
from jaxloss.symbolic.describe import Description, describe
from jaxloss.symbolic.frameworks.registry import DIALECTS
from jaxloss.symbolic.frameworks.write import write
from jaxloss.symbolic.onnx.write import write_onnx
from jaxloss.symbolic.reading import reading_of
from jaxloss.symbolic.simplify import DEFAULT_TIME_LIMIT
from jaxloss.tasks.base import STORED_MEANINGS, STORED_RANGES

ONNX = "onnx"
FORMATS = ("python", *DIALECTS, ONNX, "latex", "sympy", "text")


def ranking(run: Run) -> list[dict[str, Any]]:
    """The losses of a run that have a formula, best first, each with `formula` and `search_eval` or `search_score`.

    They come from the summary: what a search ranked, or what was compared or trained with. A run that is not finished is ranked
    by the scores in its archive.
    """
    summary = run.read_summary() or {}
    if summary.get("ranking"):
        return list(summary["ranking"])
    if compared := [_as_entry(row) for row in summary.get("comparison", []) if row.get("formula")]:
        # A loss that was trained with, and nothing else, has no score on search_eval.
        return sorted(compared, key=lambda entry: math.inf if entry["search_eval"] is None else -entry["search_eval"])
    best: dict[str, dict[str, Any]] = {}
    for row in run.archive.candidates():
        if row.branch != WHOLE or row.score is None or not math.isfinite(row.score):
            continue
        if row.key not in best or row.score > best[row.key]["search_score"]:
            best[row.key] = {"formula": row.formula, "search_score": row.score}
    return sorted(best.values(), key=lambda entry: -entry["search_score"])


def loss_in(run: Run, rank: int = 1, name: str | None = None) -> tuple[dict[str, Any], str]:
    """A loss of a run, as an entry of the ranking, and where it stands there.

    Args:
      run: to read.
      rank: 1 is the best.
      name: of a loss in the comparison, as configs or the table write it, or its formula, in place of a rank. The formula of a
        hand-crafted one is None; `handcrafted` gives its family.

    Raises:
      UserError: there is no such loss.
    """
    if name is not None:
        return _named(run, name), f"'{name}'"
    ranked = ranking(run)
    if not ranked and (rows := (run.read_summary() or {}).get("comparison")):
        names = ", ".join(row["name"] for row in rows)
        raise UserError(f"no loss of the run in '{run.path}' has a formula, and a rank: name one of {names}")
    if not 1 <= rank <= len(ranked):
        raise UserError(f"there is no rank {rank}: the run in '{run.path}' has {len(ranked)} ranked losses, counted from 1")
    return ranked[rank - 1], f"rank {rank} of {len(ranked)}"


def _named(run: Run, name: str) -> dict[str, Any]:
    rows = (run.read_summary() or {}).get("comparison", [])
    if not rows:
        raise UserError(f"there is no loss '{name}': the run in '{run.path}' has compared nothing yet; take a rank")
    row = next((one for one in rows if name in (one["name"], loss_name(one["name"]), one["formula"])), None)
    if row is None:
        raise unknown("loss in the comparison of this run", name, [one["name"] for one in rows])
    return _as_entry(row)


def handcrafted(space: Space, entry: Mapping[str, Any]) -> HandcraftedFamily | BranchedFamily:
    """The family of a hand-crafted loss of a run; its hyper-parameters are in `entry["tuned"]`.

    Args:
      space: of the run.
      entry: see `loss_in`.

    Raises:
      UserError: this version has no loss of this name.
    """
    name = entry["name"].partition(TUNING_WORDS)[0]
    return branch_families(name, {branch.name: branch.weight for branch in space.branches})


def _as_entry(row: dict[str, Any]) -> dict[str, Any]:
    """A line of the comparison as the ranking has its own."""
    return {**row, "search_eval": row["tuned"]["search_eval"]}


def export(
    workdir: str | Path,
    space: Space,
    rank: int = 1,
    format: str = "python",
    time_limit: float = DEFAULT_TIME_LIMIT,
    name: str | None = None,
) -> str | bytes:
    """The text of one loss of a run; of `onnx` the bytes of the file.

    Args:
      workdir: the run's directory.
      space: the space of the run.
      rank: 1 is the best.
      format: one of `FORMATS`.
      time_limit: seconds that SymPy may think about each formula.
      name: in place of a rank, see `loss_in`.

    Raises:
      UserError: no such run, loss or format, or no time at all.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if not 0 < time_limit < math.inf:
        raise UserError(f"time_limit must be a number of seconds above 0, not {time_limit:g}")
    with open_for_reading(workdir) as run:
        (entry, place), ranges, summary = loss_in(run, rank, name), run.archive.state(STORED_RANGES), run.read_summary()
        meanings = run.archive.state(STORED_MEANINGS) or {}
    if entry["formula"] is None:
        reading = reading_of_handcrafted(handcrafted(space, entry), entry["tuned"]["hyperparameters"], ranges)
    else:
        reading = reading_of(space, space.parse(entry["formula"]), ranges)
    (description,) = describe([reading], time_limit)
    if format in ("python", ONNX, *DIALECTS):
        found = provenance(space, workdir, place, entry, summary, meanings, reading.inputs)
        if format == "python":
            return description.python(found)
        if format == ONNX:
            return write_onnx(description, found)
        return write(description, DIALECTS[format], found, meanings)
    if entry["formula"] is None and format != "text":
        there = ", ".join(("python", *DIALECTS, ONNX, "text"))
        raise UserError(
            f"a loss without a formula cannot be written as {format}: the hand-crafted '{entry['name']}' is there as {there}"
        )
    text = _other(description, format)
    return "\n".join([text, *of_its_class(entry)] if format == "text" else [text]) + "\n"


def _other(description: Description, format: str) -> str:
    if format == "latex" and description.latex is not None:
        return description.latex
    if format == "sympy" and description.formulas:
        return description.sympy
    if format != "text":
        raise UserError(
            f"a loss without a formula cannot be written as {format}: there is text, latex where its form has `latex`, "
            "and code, such as python, where its space has `write_python`"
        )
    if not description.formulas:
        return description.text
    lines = [
        description.text,
        description.simplified_text,
        *([f"~ {description.decimal_text}"] if description.decimal_text else []),
    ]
    return "\n".join([*lines, f"simplified for {description.domain}"] if description.domain else lines)
