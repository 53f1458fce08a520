"""The best losses of a run, with everything that is drawn of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from jaxloss.core.abstract import named_errors
from jaxloss.core.errors import UserError
from jaxloss.report.error_drawing import error_drawing_of
from jaxloss.report.figures import panel_caption, panel_figure
from jaxloss.report.formula_svg import formula_svg
from jaxloss.report.prediction_drawing import drawing_of
from jaxloss.report.searches import best_candidates, fresh_scores
from jaxloss.report.words import reads_shorter
from jaxloss.runs.directory import Run
from jaxloss.runs.rows import CandidateRow
from jaxloss.spaces.base import Candidate, Space
from jaxloss.spaces.drawing import Drawing, Panel
from jaxloss.tasks.base import STORED_RANGES

_NUM_UNFINISHED = 10
_EMPTY = {
    **dict.fromkeys(("rank", "latex", "simplified", "note", "same_as", "merged", "alike", "name", "search_eval", "search_score")),
    "minimal": None,
    "panels": (),
}


def leaders(
    run: Run, summary: Mapping[str, Any] | None, candidates: Sequence[CandidateRow], space: Space | None
) -> dict[str, Any]:
    """The losses of the page, `leaders`, and what is to be said of their drawings, `drawing_note`.

    Args:
      run: that is reported.
      summary: of it, or None while it is unfinished.
      candidates: the rows of whole candidates of all searches, controls aside.
      space: of the losses; None draws nothing.
    """
    rows = leading_rows(run, summary, candidates)
    # Random search may have found the same loss: it stands behind in the table, and its name gives way.
    names = {row["formula"]: row["name"] for row in reversed((summary or {}).get("comparison", []))}
    found = [
        {**_EMPTY, **row, "math": math_of(row), "minimal": minimal_of(row), "name": names.get(row["formula"])} for row in rows
    ]
    drawing = _drawing_of(space, run.archive.state(STORED_RANGES))
    if drawing is None or not found:
        return {"leaders": found, "drawing_note": None}
    return {"leaders": _drawn(found, drawing, space), "drawing_note": Markup(drawing.note)}


def curves_by_formula(run: Run, space: Space | None, formulas: Sequence[str]) -> dict[str, list[tuple[Markup, Markup]]]:
    """Formula -> captions and figures of a loss; without those that cannot be read or drawn.

    Args:
      run: that is reported.
      space: of the losses; None draws nothing.
      formulas: each once.
    """
    drawing = _drawing_of(space, run.archive.state(STORED_RANGES)) if formulas else None
    if drawing is None:
        return {}
    panels = _panels_of(drawing, space, formulas)[1]
    return {formula: _figures(f"candidate{index}", found, formula) for index, (formula, found) in enumerate(panels.items())}


def math_of(row: Mapping[str, Any]) -> Markup | None:
    """The formula of a row as it is typeset, or None where the text has to do."""
    return formula_svg(row.get("latex"), row["formula"]) if row.get("formula") else None


def minimal_of(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """A loss without the terms that do nothing on the task, typeset; None where it reads no shorter than the loss itself."""
    return {**row["minimal"], "math": math_of(row["minimal"])} if reads_shorter(row) else None


def leading_rows(run: Run, summary: Mapping[str, Any] | None, candidates: Sequence[CandidateRow]) -> list[dict[str, Any]]:
    """Those of the ranking; without a search, the given ones.

    Of an unfinished run, first those that were trained on all fresh seeds already, by their mean there; then those with the best
    single scores.
    """
    if summary is not None:
        return list(summary.get("ranking") or _given(summary))
    fresh = fresh_scores(run)
    best = best_candidates(candidates)
    # Several searches may have trained one formula: it is ranked once, with its best score.
    ranked = {row.formula: row for row in reversed(best) if row.formula in fresh}
    ranked = sorted(ranked.values(), key=lambda row: -fresh[row.formula])
    others = (row for row in best if row.formula not in fresh)
    return [
        {"rank": index + 1, "formula": row.formula, "search_score": row.score, "search_eval": fresh.get(row.formula)}
        for index, row in enumerate([*ranked, *others][:_NUM_UNFINISHED])
    ]


def _given(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [row for row in summary.get("comparison", []) if row.get("formula")]
    shown = ("formula", "latex", "simplified", "minimal", "alike")
    return [
        {"rank": index + 1, "search_score": None, "search_eval": None, **{key: row[key] for key in shown if key in row}}
        for index, row in enumerate(rows)
    ]


def _drawing_of(space: Space | None, ranges: Mapping[str, Any] | None) -> Drawing | None:
    if space is None:
        return None
    if space.drawing is not None:
        return space.drawing
    # Predictions that may be any number are no probabilities. Runs of early versions did not store what theirs may be.
    is_any_number = ranges is not None and not any(ranges.get(branch.name) for branch in space.branches)
    return error_drawing_of(space) if is_any_number else drawing_of(space)


def _drawn(found: Sequence[dict[str, Any]], drawing: Drawing, space: Space) -> list[dict[str, Any]]:
    """The rows with the panels of the first, and before them the references of the drawing."""
    of_references, panels = _panels_of(drawing, space, [row["formula"] for row in found[: drawing.most]])
    references = [
        {
            **_EMPTY,
            "formula": reference.formula,
            "math": formula_svg(reference.latex, reference.formula),
            "note": reference.note,
            "panels": _figures(f"reference{index}", of_reference, reference.note),
        }
        for index, (reference, of_reference) in enumerate(zip(drawing.references, of_references, strict=True))
    ]
    rows = [
        {**row, "panels": _figures(f"loss{row['rank']}", panels[row["formula"]], f"loss {row['rank']}")}
        if row["formula"] in panels and index < drawing.most
        else row
        for index, row in enumerate(found)
    ]
    return [*references, *rows]


def _panels_of(
    drawing: Drawing, space: Space, formulas: Sequence[str]
) -> tuple[Sequence[tuple[Panel, ...]], dict[str, tuple[Panel, ...]]]:
    """The panels of each reference, and of each loss that can be read."""
    candidates = {formula: _read(space, formula) for formula in formulas}
    readable = [formula for formula, candidate in candidates.items() if candidate is not None]
    with named_errors(f"draw of the drawing of the space {space.name}"):
        of_references, of_candidates = drawing.draw(space, [candidates[formula] for formula in readable])
    return of_references, dict(zip(readable, of_candidates, strict=True))


def _figures(name: str, panels: Sequence[Panel], label: str) -> list[tuple[Markup, Markup]]:
    """(caption, figure) of each panel."""
    return [(panel_caption(panel), panel_figure(name, panel, label)) for panel in panels]


def _read(space: Space, formula: str) -> Candidate | None:
    try:
        return space.parse(formula)
    except UserError:
        return None
