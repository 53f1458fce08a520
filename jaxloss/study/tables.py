"""The lines of the summary's tables, made from the results of a comparison. Nothing is trained here, and nothing stored."""

import math
from collections.abc import Sequence
from typing import Any

from jaxloss.runs.rows import TrainingRow
from jaxloss.study.comparison import TestResult, paired_difference


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
    names = sorted({name for row in rows for name in row.scores})
    return {
        "learning_rate": result.point.learning_rate,
        "hyperparameters": dict(result.point.hyperparameters),
        "search_eval": None if math.isnan(result.search_eval) else result.search_eval,
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


def difference_rows(first: TestResult, others: Sequence[TestResult], margin: float) -> list[dict[str, Any]]:
    """How one tuned loss stands against each of the others, paired over divisions and seeds."""
    rows = []
    for other in others:
        interval = paired_difference(first, other)
        if interval.low > 0:
            verdict = "leads"
        elif interval.high < 0:
            verdict = "is behind"
        else:
            verdict = "ties"
        rows.append(
            {
                "first": first.contender.label,
                "second": other.contender.label,
                "mean": interval.mean,
                "ci95": [interval.low, interval.high],
                "pairs": interval.count,
                "verdict": verdict,
                "not_behind": interval.low > -margin,
            }
        )
    return rows
