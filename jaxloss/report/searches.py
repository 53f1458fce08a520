"""The searches of a run, as far as they have begun."""

from collections.abc import Iterable, Mapping
from typing import Any

from jaxloss.report.headline import RANDOM_SEARCH
from jaxloss.runs.directory import Run
from jaxloss.runs.rows import RANK, CandidateRow
from jaxloss.search.restarts import LEFT_OUT, label_of


def searches_of(run: Run) -> tuple[dict[str, Mapping[str, Any]], dict[str, Mapping[str, Any]]]:
    """Name -> counts of the searches that have begun, and of the controls."""
    states = [{label: run.archive.state(label) for label in labels} for labels in labels_of(run.config)]
    main, control = ({label: state["counts"] for label, state in found.items() if state} for found in states)
    return main, control


def labels_of(config: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Names of the searches that a run of this config may have, and of their controls."""
    search = config.get("search", {})
    main, restarts = search.get("name", ""), range(search.get("restarts", 1))
    control = [label_of(RANDOM_SEARCH, restart) for restart in restarts]
    return [label_of(main, restart) for restart in restarts], control if main != RANDOM_SEARCH else []


def left_out_of(run: Run) -> dict[str, str]:
    """Name -> why, of the searches of this run that came to nothing; earlier it may have had more of them."""
    labels = [label for listed in labels_of(run.config) for label in listed]
    return {label: why for label, why in (run.archive.state(LEFT_OUT) or {}).items() if label in labels}


def best_candidates(candidates: Iterable[CandidateRow]) -> list[CandidateRow]:
    """Those that were trained to a finite score, best first, of the rows of whole candidates."""
    scored = [row for row in candidates if row.training and row.score is not None]
    return sorted(scored, key=lambda row: (-row.score, row.proposal))


def fresh_scores(run: Run) -> dict[str, float]:
    """Formula -> mean score of the ranking, of the losses that were trained on all of its fresh seeds already.

    A training that was stopped by NaN counts as 0, as in the ranking. A run that goes on may have been ranked before at another
    rate: the last one counts.
    """
    comparison = run.config.get("comparison", {})
    first, number = comparison.get("seed"), comparison.get("rank_seeds")
    rows = run.archive.trainings(stage=RANK)
    if not rows or first is None or number is None:
        return {}
    scores: dict[str, dict[int, float]] = {}
    for row in rows:
        if row.learning_rate == rows[-1].learning_rate and first <= row.seed < first + number:
            scores.setdefault(row.loss, {})[row.seed] = row.score or 0.0
    return {loss: sum(found.values()) / number for loss, found in scores.items() if len(found) == number}
