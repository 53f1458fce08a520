"""What a run's summary says, by `config.mode`, made from what came out. Nothing is trained here, and nothing stored."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxloss.search.loop import SearchLoop
from jaxloss.study.comparison import Compared, Ranked, TestResult
from jaxloss.study.contender import FOUND, HANDCRAFTED, RANDOM_SEARCH
from jaxloss.study.experiment import Experiment
from jaxloss.study.tables import best_first, difference_rows, headline
from jaxloss.symbolic.describe import describe
from jaxloss.symbolic.reading import reading_of

NUM_DESCRIBED = 10


class Searched(NamedTuple):
    """A search that has spent its budget, with the best of its candidates, ranked again on fresh seeds."""

    loop: SearchLoop
    ranked: Sequence[Ranked]


def search_summary(
    experiment: Experiment, main: Searched, control: Searched | None, compared: Compared, final_scores: Mapping[str, float]
) -> dict[str, Any]:
    """Of a search.

    Args:
      experiment: whose archive holds the trainings.
      main: the search.
      control: random search, where there was one.
      compared: what both found, beside the other losses.
      final_scores: of the network that is kept, by name.
    """
    best, *other_found = best_of_kind(compared.tuned, FOUND)
    ranking = _ranking(main, [best, *other_found])
    rows = experiment.rows(*compared)
    _add_descriptions(experiment, [*ranking, *rows])
    best_row = next(row for row in rows if row["name"] == best.contender.label)
    counts, seconds = main.loop.counts, main.loop.seconds
    others = [result for result in compared.tuned if result is not best]
    summary = {
        "counts": counts.to_json(),
        "seconds": {name: seconds[name] for name in ("rejection", "choosing", "training") if name in seconds},
        "ranking": ranking,
        "best": {**{key: best_row[key] for key in ("kind", "simplified", "decimal", "latex")}, **_headline(best)},
        "comparison": rows,
        "final_scores": dict(final_scores),
        "baselines": [_headline(result) for result in compared.tuned if result.contender.kind == HANDCRAFTED],
        "headline": headline(best, others, experiment.config.comparison.margin),
        "differences": difference_rows(best, others, experiment.config.comparison.margin),
    }
    return summary if control is None else {**summary, "random_search": _control_summary(control, compared)}


def compare_summary(experiment: Experiment, compared: Compared) -> dict[str, Any]:
    """Of a comparison of given losses: the first of them beside each of the others."""
    rows = experiment.rows(*compared)
    _add_descriptions(experiment, rows)
    first, *others = compared.tuned
    return {
        "comparison": rows,
        "baselines": [_headline(result) for result in compared.tuned],
        "headline": headline(first, others, experiment.config.comparison.margin),
        "differences": difference_rows(first, others, experiment.config.comparison.margin),
        "stopped_by_nan": experiment.stopped_by_nan(),
    }


def train_summary(experiment: Experiment, result: TestResult, final_scores: Mapping[str, float]) -> dict[str, Any]:
    """Of trainings with one loss, and of the network that is kept."""
    rows = experiment.rows([result], [result])
    _add_descriptions(experiment, rows)
    return {
        "comparison": rows,
        "final_scores": dict(final_scores),
        "baselines": [_headline(result)],
        "stopped_by_nan": experiment.stopped_by_nan(),
    }


def best_of_kind(results: Sequence[TestResult], kind: str) -> list[TestResult]:
    """The tuned losses of one kind by their score on search_eval."""
    return best_first([result for result in results if result.contender.kind == kind])


def _control_summary(control: Searched, compared: Compared) -> dict[str, Any]:
    """The best that random search found, and what it took."""
    counts = control.loop.counts
    return {
        **_headline(best_of_kind(compared.tuned, RANDOM_SEARCH)[0]),
        "trained": counts.trained,
        "copies": sum(one.same_as is not None for one in control.ranked),
        "counts": counts.to_json(),
    }


def _headline(result: TestResult) -> dict[str, Any]:
    interval = result.interval
    return {
        "name": result.contender.label,
        "formula": result.contender.formula,
        "hyperparameters": {**result.point.hyperparameters, "learning_rate": result.point.learning_rate},
        "search_eval": None if math.isnan(result.search_eval) else result.search_eval,
        "test_mean": interval.mean,
        "test_ci95": [interval.low, interval.high],
        "seeds": interval.count,
    }


def _ranking(searched: Searched, tuned: Sequence[TestResult]) -> list[dict[str, Any]]:
    """The best of the search: the tuned ones, those that were ranked on fresh seeds, the others by their search score.

    `same_as` is the rank of the loss that a row is a copy of, or None; `tuned` are the rate and the hyper-parameters of the
    comparison, for the losses that took part.
    """
    settings = {result.contender.formula: dataclasses.asdict(result.point) for result in tuned}
    place = {result.contender.name: index for index, result in enumerate(tuned)}
    ranked = sorted(searched.ranked, key=lambda one: place.get(one.contender.name, len(place)))
    scores = {one.text: one.score for one in searched.loop.search.best()}
    rows = [
        {
            "formula": one.contender.formula,
            "search_eval": one.score,
            "search_score": scores[one.contender.formula],
            "same_as": one.same_as,
            "tuned": settings.get(one.contender.formula),
        }
        for one in ranked
    ]
    again = {row["formula"] for row in rows}
    rest = [one for one in searched.loop.search.best() if one.text not in again][: max(0, NUM_DESCRIBED - len(rows))]
    blank = {"search_eval": None, "same_as": None, "tuned": None}
    rows += [{"formula": one.text, "search_score": one.score, **blank} for one in rest]
    ranks = {row["formula"]: index + 1 for index, row in enumerate(rows)}
    return [{"rank": index + 1, **row, "same_as": ranks.get(row["same_as"])} for index, row in enumerate(rows)]


def _add_descriptions(experiment: Experiment, rows: Sequence[dict[str, Any]]) -> None:
    """Adds `simplified`, `latex` and `domain` (where both are the loss) to the rows that have a formula."""
    with_formula = [row for row in rows if row.get("formula")]
    texts = list(dict.fromkeys(row["formula"] for row in with_formula))
    space, ranges = experiment.space, experiment.task.ranges
    described = describe([reading_of(space, space.parse(text), ranges) for text in texts])
    descriptions = dict(zip(texts, described, strict=True))
    for row in with_formula:
        description = descriptions[row["formula"]]
        row["simplified"], row["latex"], row["domain"] = description.simplified_text, description.latex, description.domain
        row["decimal"] = description.decimal_text
