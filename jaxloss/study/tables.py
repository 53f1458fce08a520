"""The lines of the summary's tables, made from the results of a comparison. Nothing is trained here, and nothing stored."""

import math
from collections.abc import Sequence
from typing import Any

from jaxloss.runs.rows import TrainingRow
from jaxloss.study.comparison import TestResult, paired_difference
from jaxloss.study.contender import FOUND, RANDOM_SEARCH, RIVALS
from jaxloss.study.statistics import Interval


def result_row(untuned: TestResult, tuned: TestResult, tests: Sequence[TrainingRow]) -> dict[str, Any]:
    """One line of the comparison table; `tests` are the trainings of the archive that were scored on the test split."""
    contender = tuned.contender
    return {
        "name": contender.label,
        "kind": contender.kind,
        "formula": contender.formula,
        "untuned": _result(untuned, tests),
        "tuned": _result(tuned, tests),
    }


def _result(result: TestResult, tests: Sequence[TrainingRow]) -> dict[str, Any]:
    interval, point = result.interval, result.point
    wanted = (result.contender.identity, dict(point.hyperparameters), point.learning_rate)
    # A pair that is in two stages under one point is the same training: it counts once.
    own = {(row.division, row.seed): row for row in tests if (row.loss, row.hyperparameters, row.learning_rate) == wanted}
    rows = [own[pair] for pair in result.scores if pair in own]
    # Trainings of an earlier version may lack some: a mean over the others alone would be another.
    finite = [row.scores.keys() for row in rows if row.finite]
    names = sorted(frozenset.intersection(*map(frozenset, finite))) if finite else []
    return {
        "learning_rate": result.point.learning_rate,
        "hyperparameters": dict(result.point.hyperparameters),
        "search_eval": None if math.isnan(result.search_eval) else result.search_eval,
        # Where the tuned rate is the lowest or the highest that was tried: a better one may lie beyond.
        "edge": result.edge,
        # The same of the hyper-parameters: name -> edge.
        "other_edges": dict(result.other_edges),
        "test_mean": interval.mean,
        "test_ci95": [interval.low, interval.high],
        "test_deviation": interval.deviation,
        # A training that was stopped by NaN or infinity scores 0, which says little without this number.
        "stopped_by_nan": sum(not row.finite for row in rows),
        "test_means": {name: sum(row.scores.get(name, 0.0) for row in rows) / len(rows) for name in names},
        "scores": [[division, seed, score] for (division, seed), score in result.scores.items()],
        # Every score of the task, in the order of `scores`.
        "test_scores": {name: [row.scores.get(name, 0.0) for row in rows] for name in names},
    }


def headline(first: TestResult, others: Sequence[TestResult], margin: float) -> dict[str, Any]:
    """What a run is judged by: one tuned loss beside the best tuned rival, and beside the best of random search.

    Both are the best on search_eval, never on the test. Rivals of a found loss are what people have, those of a given one are all
    others.

    Returns:
      `{'best_rival': row, 'random_search': row}`, rows as in `difference_rows`, or None where there is no such loss.
    """
    rivals = [one for one in others if one.contender.kind in RIVALS or first.contender.kind != FOUND]
    control = [one for one in others if one.contender.kind == RANDOM_SEARCH]
    best = {"best_rival": rivals, "random_search": control}
    return {name: next(iter(difference_rows(first, best_first(one)[:1], margin)), None) for name, one in best.items()}


def best_first(results: Sequence[TestResult]) -> list[TestResult]:
    """Tuned losses by their score on search_eval."""
    return sorted(results, key=lambda result: -result.search_eval)


def difference_rows(first: TestResult, others: Sequence[TestResult], margin: float) -> list[dict[str, Any]]:
    """How one tuned loss stands against each of the others, paired over divisions and seeds."""
    return [
        difference_row(first.contender.label, other.contender.label, paired_difference(first, other), margin) for other in others
    ]


def difference_row(first: str, second: str, interval: Interval, margin: float) -> dict[str, Any]:
    """How one loss stands against another, from the interval of what it has over it; both by their names."""
    if interval.low > 0:
        verdict = "leads"
    elif interval.high < 0:
        verdict = "is behind"
    else:
        verdict = "ties"
    return {
        "first": first,
        "second": second,
        "mean": interval.mean,
        "ci95": [interval.low, interval.high],
        "pairs": interval.count,
        "verdict": verdict,
        "not_behind": interval.low > -margin,
    }
