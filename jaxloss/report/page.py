"""The page of a run: one HTML file that needs nothing else, for finished and unfinished runs of every mode."""

import contextlib
import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2

from jaxloss.core.errors import UserError
from jaxloss.core.files import unwritable
from jaxloss.report.candidates import candidate_data, front_formulas
from jaxloss.report.curves import curves_of
from jaxloss.report.diagnosis import diagnosis_section
from jaxloss.report.figures import search_figure
from jaxloss.report.funnel import make_funnel
from jaxloss.report.headline import BEST_RIVAL, RANDOM_SEARCH, headline_of
from jaxloss.report.intervals import difference_axis, score_axis
from jaxloss.report.leaders import curves_by_formula, leaders, math_of, minimal_of
from jaxloss.report.lockstep import lockstep_section
from jaxloss.report.score_tables import metric_matrix, part_tables
from jaxloss.report.searches import left_out_of, searches_of
from jaxloss.report.words import (
    FORMER_INTERVALS,
    INTERVALS,
    ONE_TEST_SET,
    baseline_in_words,
    big_number,
    chosen_in_words,
    control_in_words,
    deviation,
    difference,
    duration,
    edge_in_words,
    ended_in_words,
    half_width,
    hyperparameters,
    number,
    other_edges_in_words,
    rival_in_words,
    score,
    stopped_in_words,
    verdict_in_words,
)
from jaxloss.runs import atomic
from jaxloss.runs.declared import FILTERS, DeclaredFilter
from jaxloss.runs.directory import Run, is_at_work, open_for_reading
from jaxloss.runs.rows import WHOLE
from jaxloss.runs.shown import SHEET
from jaxloss.runs.stored_config import flatten
from jaxloss.spaces.base import Space
from jaxloss.spaces.titles import loss_name

_REPORT = "report.html"
_VALUES = (score, difference, half_width, deviation, number, big_number, duration, loss_name, hyperparameters)
_SENTENCES = (
    stopped_in_words,
    ended_in_words,
    rival_in_words,
    control_in_words,
    edge_in_words,
    other_edges_in_words,
    baseline_in_words,
    chosen_in_words,
)
_FILTERS = (*_VALUES, *_SENTENCES)

# Facts that a summary of an earlier version may lack.
_UNKNOWN = {
    **dict.fromkeys(("device", "machine", "jaxloss", "jax", "space"), "–"),
    "command": "",
    **{name: {} for name in ("task_details", "seconds", "compilations")},
}


def write_report(path: str | Path, space: Space | None = None, renewed: float | None = None) -> Path:
    """Writes `report.html` into the directory of a run, and returns where it is.

    Args:
      path: of the run.
      space: of its losses, which says how they are drawn; None draws none.
      renewed: seconds after which a browser reads the page of an unfinished run again; None for never.

    Raises:
      UserError: there is no run in `path`, its files cannot be read, or the page cannot be written.
    """
    with open_for_reading(path) as run:
        page = render_report(run, space, renewed)
    target = Path(path) / _REPORT
    try:
        atomic.write_text(target, page)
    except OSError as error:
        raise unwritable(f"cannot write '{target}'", error) from error
    return target


def render_report(run: Run, space: Space | None = None, renewed: float | None = None) -> str:
    """The page as text; sections that the run has nothing for are left out. See `write_report`."""
    summary = run.read_summary()
    searches, controls = searches_of(run)
    filters = [DeclaredFilter.from_json(stored) for stored in run.archive.state(FILTERS) or []]
    funnels = [(name, make_funnel(counts, filters)) for name, counts in (searches | controls).items() if counts["proposed"]]
    stages = _stages(run)
    rows = {name: run.archive.candidates(search=name, branch=WHOLE) for name in searches | controls}
    curves, listed = curves_of(run.config, rows, controls), candidate_data(rows)
    with _named_gaps(run.path):
        content = {
            "summary": {**_UNKNOWN, **(summary or {})},
            "finished": summary is not None,
            "at_work": is_at_work(run.path),
            "renewed": renewed if summary is None else None,
            "title": summary["task"] if summary is not None else run.path.absolute().name,
            "mode": run.config.get("mode", "search"),
            "curves": search_figure(curves, summary["metric"] if summary is not None else "score") if curves else None,
            "candidates_data": listed,
            # A page that is renewed while the search runs is not to compile anew each time.
            "candidate_curves": curves_by_formula(run, space, front_formulas(listed)) if summary is not None else {},
            "funnels": funnels,
            "num_searches": len(searches),
            "has_control": bool(controls),
            "left_out": left_out_of(run),
            "learned": lockstep_section(run, summary, space),
            **leaders(run, summary, [row for name in searches for row in rows[name]], space),
            **_comparison(summary or {}),
            "diagnosed": diagnosis_section(run, summary),
            "sheet": run.archive.state(SHEET) if summary is not None else None,
            "stages": stages,
            "settings": {key: value for key, value in sorted(flatten(run.config).items()) if value not in ("", {}, None)},
            "written": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        }
        return page_environment().get_template("report.html.j2").render(content)


def page_environment(*packages: str) -> jinja2.Environment:
    """Templates of the report, and of other packages before them, with the filters that values are written by."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in (*packages, "jaxloss.report")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    return environment


@contextlib.contextmanager
def _named_gaps(path: Path) -> Iterator[None]:
    """Where a summary is read whose file may be damaged, or of another version.

    Raises:
      UserError: names what it lacks.
    """
    try:
        yield
    except (KeyError, jinja2.UndefinedError) as error:
        lacks = f"has no {error}" if isinstance(error, KeyError) else f"lacks a key: {error}"
        raise UserError(
            f"the summary of '{path}' {lacks}; it is damaged, or another version wrote it: give the command of the run again"
        ) from error


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
            formulas = {"math": math_of(row), "minimal": minimal_of(row)}
            parts["comparison"].append({**row, **marks, **formulas, "is_first": row["name"] == first})
    if differences:
        drawn = {row["name"]: row["math"] for row in parts["comparison"] if row["kind"] == "given"}
        axis = parts["difference_axis"] = difference_axis(differences, margin)
        for row in sorted(differences, key=lambda row: row["mean"]):
            words = verdict_in_words(row, margin)
            mark = axis.mark(row["mean"], row["ci95"])
            parts["differences"].append({**row, "mark": mark, "words": words, "math": drawn.get(row["second"])})
    headline = next((row for row in parts["comparison"] if row["is_first"]), None)
    judged = headline_of(summary)
    note = INTERVALS if "intervals" in summary else FORMER_INTERVALS
    rival = judged[BEST_RIVAL]
    return {
        **parts,
        "metric_matrix": metric_matrix(summary),
        "part_tables": part_tables(summary, first, rival and rival["second"]),
        "headline": headline,
        "rival": rival,
        "shortened": _shortened(summary, parts),
        "control": judged[RANDOM_SEARCH],
        "interval_note": f"{note} {ONE_TEST_SET}",
    }


def _shortened(summary: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row of what is left of the best loss, with what the whole one has over it; None where it was not made shorter."""
    name = (summary.get("shortened") or {}).get("name")
    row = next((row for row in parts["comparison"] if row["name"] == name), None)
    lead = next((row for row in parts["differences"] if row["second"] == name), None)
    return row and lead and {**row, "lead": lead}


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
