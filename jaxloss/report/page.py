"""The page of a run: one HTML file that needs nothing else, for finished and unfinished runs of every mode."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from jaxloss.core.errors import UserError
from jaxloss.report.curve_shape import REFERENCES, curve_shapes, is_margin_loss
from jaxloss.report.curves import search_curve
from jaxloss.report.figures import curve_figures, search_figure, shape_figures
from jaxloss.report.formula_svg import formula_svg
from jaxloss.report.funnel import make_funnel
from jaxloss.report.intervals import difference_axis, score_axis
from jaxloss.report.loss_shape import CROSS_ENTROPY, loss_shapes
from jaxloss.report.words import (
    big_number,
    difference,
    duration,
    half_width,
    hyperparameters,
    lead_in_words,
    loss_name,
    number,
    score,
    stopped_in_words,
    verdict_in_words,
)
from jaxloss.runs import atomic
from jaxloss.runs.directory import Run, flatten, open_for_reading
from jaxloss.runs.rows import FILTERS

_REPORT = "report.html"
_NUM_SHAPES = 3
_NUM_CURVES = 8
_NUM_UNFINISHED = 10
_FILTERS = (score, difference, half_width, number, big_number, duration, loss_name, hyperparameters, stopped_in_words)


def write_report(path: str | Path) -> Path:
    """Writes `report.html` into the directory of a run, and returns where it is.

    Raises:
      UserError: there is no run in `path`, its files cannot be read, or the page cannot be written.
    """
    with open_for_reading(path) as run:
        page = render_report(run)
    target = Path(path) / _REPORT
    try:
        atomic.write_text(target, page)
    except OSError as error:
        raise UserError(f"cannot write '{target}': {error.strerror}") from error
    return target


def render_report(run: Run) -> str:
    """The page as text; sections that the run has nothing for are left out."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jaxloss.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    summary = run.read_summary()
    searches = _searches(run)
    filters = run.archive.state(FILTERS) or []
    content = {
        "summary": summary or {},
        "finished": summary is not None,
        "title": summary["task"] if summary else run.path.absolute().name,
        "mode": run.config.get("mode", "search"),
        "curves": _curves(run, searches, summary),
        "funnels": [(name, make_funnel(counts, filters)) for name, counts in searches.items() if counts["proposed"]],
        "leaders": _leaders(run, summary, searches),
        **_comparison(summary or {}),
        "stages": _stages(run),
        "settings": {key: value for key, value in sorted(flatten(run.config).items()) if value not in ("", {}, None)},
        "written": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    return environment.get_template("report.html.j2").render(content)


def _searches(run: Run) -> dict[str, Mapping[str, Any]]:
    """Name -> counts of the searches that have begun, the main one first."""
    main = run.config.get("search", {}).get("name", "")
    names = dict.fromkeys([main, "random_search"])
    states = {name: run.archive.state(name) for name in names}
    return {name: state["counts"] for name, state in states.items() if state}


def _curves(run: Run, searches: Mapping[str, Any], summary: Mapping[str, Any] | None):
    population_size = run.config.get("search", {}).get("evolution", {}).get("population_size", 2500)
    curves = [search_curve(name, run.archive.candidates(search=name), population_size) for name in searches]
    curves = [curve for curve in curves if curve is not None]
    return search_figure(curves, summary["metric"] if summary else "score") if curves else None


def _leaders(run: Run, summary: Mapping[str, Any] | None, searches: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The best losses with everything that is drawn of them; of an unfinished run, those with the best single scores.

    Where nothing was searched, the losses that were given as formulas.
    """
    # A space from outside the package has a name of its own in the config, and tells in the summary whose operators it has.
    operators = (summary or {}).get("operators") or run.config.get("space", {}).get("name", "")
    if summary is not None:
        rows = summary.get("ranking") or _given(summary)
    elif searches:
        scored = [row for row in run.archive.candidates(search=next(iter(searches))) if row.training and row.score is not None]
        best = sorted(scored, key=lambda row: (-row.score, row.proposal))[:_NUM_UNFINISHED]
        rows = [
            {"rank": index + 1, "formula": row.formula, "search_score": row.score, "search_eval": None}
            for index, row in enumerate(best)
        ]
    else:
        rows = []
    if not rows:
        return []
    names = {row["formula"]: row["name"] for row in (summary or {}).get("comparison", [])}
    empty = {"latex": None, "simplified": None, "figures": None, "curves": None, "note": None, "same_as": None}
    leaders = [{**empty, **row, "math": _math(row), "name": names.get(row["formula"])} for row in rows]
    if is_margin_loss(leaders[0]["formula"]):
        return _with_curves(leaders, empty, operators)
    reference, *shapes = loss_shapes([CROSS_ENTROPY, *(row["formula"] for row in leaders[:_NUM_SHAPES])], operators)
    if reference is not None:
        for row, shape in zip(leaders, shapes, strict=False):
            if shape is not None:
                row["figures"] = shape_figures(f"loss{row['rank']}", shape, reference, f"loss {row['rank']}")
        drawn = shape_figures("reference", reference, reference, "cross-entropy")
        math = formula_svg(r"-y \log\left(\hat{y}\right)", CROSS_ENTROPY)
        note = "Cross-entropy, for reference"
        leaders.insert(0, {**empty, "rank": None, "formula": CROSS_ENTROPY, "figures": drawn, "math": math, "note": note})
    return leaders


def _given(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [row for row in summary.get("comparison", []) if row.get("formula")]
    shown = ("formula", "latex", "simplified")
    return [
        {"rank": index + 1, "search_score": None, "search_eval": None, **{key: row[key] for key in shown if key in row}}
        for index, row in enumerate(rows)
    ]


def _with_curves(leaders: list[dict[str, Any]], empty: Mapping[str, Any], operators: str) -> list[dict[str, Any]]:
    """Leaders that are margin-based softmax losses, with the curves of the first, and hand-crafted ones beside them."""
    references = [
        {**empty, "rank": None, "formula": formula, "math": None, "note": f"{name}, for reference"}
        for name, formula in REFERENCES.items()
    ]
    rows = [*references, *leaders[:_NUM_CURVES]]
    for index, (row, shape) in enumerate(zip(rows, curve_shapes([row["formula"] for row in rows], operators), strict=True)):
        if shape is not None:
            row["curves"] = curve_figures(f"curves{index}", shape, row["note"] or f"loss {row['rank']}")
    return [*references, *leaders]


def _math(row: Mapping[str, Any]):
    return formula_svg(row.get("latex"), row["formula"]) if row.get("formula") else None


def _comparison(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of the comparison and of the differences, with their marks on a common axis, and the headline."""
    rows, differences, margin = summary.get("comparison", []), summary.get("differences", []), summary.get("margin", 0.0)
    best = summary.get("best")
    first = best["name"] if best else rows[0]["name"] if len(rows) == 1 or differences else None
    parts: dict[str, Any] = {"comparison": [], "differences": [], "score_axis": None, "difference_axis": None}
    if rows:
        axis = parts["score_axis"] = score_axis(rows)
        for row in sorted(rows, key=lambda row: -row["tuned"]["test_mean"]):
            marks = {f"{kind}_mark": axis.mark(row[kind]["test_mean"], row[kind]["test_ci95"]) for kind in ("untuned", "tuned")}
            parts["comparison"].append({**row, **marks, "math": _math(row), "is_first": row["name"] == first})
    if differences:
        drawn = {row["name"]: row["math"] for row in parts["comparison"] if row["kind"] == "given"}
        axis = parts["difference_axis"] = difference_axis(differences, margin)
        for row in sorted(differences, key=lambda row: row["mean"]):
            words = verdict_in_words(row, margin)
            mark = axis.mark(row["mean"], row["ci95"])
            parts["differences"].append({**row, "mark": mark, "words": words, "math": drawn.get(row["second"])})
    headline = next((row for row in parts["comparison"] if row["is_first"]), None)
    rival = _rival(rows, differences)
    return {**parts, "headline": headline, "rival": rival, "lead": lead_in_words(rival) if rival else None}


def _rival(rows: list[dict[str, Any]], differences: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The difference that the headline names: to cross-entropy, or to the hand-crafted loss that is best on search_eval."""
    scores = {row["name"]: row["tuned"]["search_eval"] for row in rows if row["kind"] == "handcrafted"}
    scores = {name: score for name, score in scores.items() if score is not None}
    best = "cross_entropy" if "cross_entropy" in scores else max(scores, key=scores.get, default=None)
    return next((row for row in differences if row["second"] == best), None)


def _stages(run: Run) -> list[dict[str, Any]]:
    """Number and seconds of the trainings of each stage, in the order in which they were begun."""
    stages: dict[str, dict[str, Any]] = {}
    for row in run.archive.trainings():
        stage = stages.setdefault(row.stage, {"name": row.stage, "trainings": 0, "seconds": 0.0, "steps": 0, "stopped": 0})
        stage["trainings"] += 1
        stage["seconds"] += row.seconds
        stage["steps"] += row.steps
        stage["stopped"] += not row.finite
    return list(stages.values())
