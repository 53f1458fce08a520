"""What a run's summary says, by `config.mode`, made from what came out. Nothing is trained here, and nothing stored."""

import collections
import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.search.budget import Counts
from jaxloss.study.comparison import Compared, TestResult
from jaxloss.study.contender import FOUND, RANDOM_SEARCH, RIVALS
from jaxloss.study.entries import ranking_entries
from jaxloss.study.experiment import Experiment
from jaxloss.study.searches import Searched
from jaxloss.study.shown import baseline_of
from jaxloss.study.tables import best_first, difference_rows, headline
from jaxloss.symbolic.describe import Description, describe
from jaxloss.symbolic.reading import reading_of

# What showed that losses which were merged are one: see `ranking`.
GRADIENTS, SCORES = "gradients", "scores"
_SHOWN = ("kind", "formula", "trained", "simplified", "decimal", "latex", "minimal", "alike", "merged")


def search_summary(
    experiment: Experiment,
    main: Sequence[Searched],
    control: Sequence[Searched],
    compared: Compared,
    final_scores: Mapping[str, float],
) -> dict[str, Any]:
    """Of a search, or of several; the ranking is that of the search whose loss is the best.

    Args:
      experiment: whose archive holds the trainings.
      main: the searches.
      control: as many random searches, where there were any.
      compared: what both found, beside the other losses.
      final_scores: of the network that is kept, by name.
    """
    best, rows = best_of_kind(compared.tuned, FOUND)[0], experiment.rows(*compared)
    rankings = [_entries(experiment, searched, compared) for searched in main]
    _take_names(rows, FOUND, rankings)
    _take_names(rows, RANDOM_SEARCH, [_entries(experiment, searched, compared) for searched in control])
    ranking = next(one for one, searched in zip(rankings, main, strict=True) if best.contender in searched.taking_part)
    add_descriptions(experiment, [*ranking, *rows])
    best_row = next(row for row in rows if row["name"] == best.contender.label)
    counts, seconds = total_counts(main), sum((one.loop.seconds for one in main), collections.Counter())
    others = [result for result in compared.tuned if result is not best]
    summary = {
        "counts": counts.to_json(),
        "seconds": {name: seconds[name] for name in ("rejection", "choosing", "training") if name in seconds},
        "ranking": ranking,
        "merged_by": SCORES if experiment.equal_losses is None else GRADIENTS,
        "best": {**short_result(best), **{key: best_row[key] for key in _SHOWN}},
        "comparison": rows,
        "final_scores": dict(final_scores),
        "baselines": [short_result(result) for result in compared.tuned if result.contender.kind in RIVALS],
        "baseline": baseline_label(best, compared.tuned),
        "headline": headline(best, others, experiment.config.comparison.margin),
        "differences": difference_rows(best, others, experiment.config.comparison.margin),
    }
    return {**summary, "random_search": _control_summary(control, compared, rows)} if control else summary


def compare_summary(experiment: Experiment, compared: Compared) -> dict[str, Any]:
    """Of a comparison of given losses: the first of them beside each of the others."""
    rows = experiment.rows(*compared)
    add_descriptions(experiment, rows)
    first, *others = compared.tuned
    return {
        "comparison": rows,
        "baselines": [short_result(result) for result in compared.tuned],
        "baseline": baseline_label(first, compared.tuned),
        "headline": headline(first, others, experiment.config.comparison.margin),
        "differences": difference_rows(first, others, experiment.config.comparison.margin),
        "stopped_by_nan": experiment.stopped_by_nan(),
    }


def train_summary(experiment: Experiment, result: TestResult, final_scores: Mapping[str, float]) -> dict[str, Any]:
    """Of trainings with one loss, and of the network that is kept."""
    rows = experiment.rows([result], [result])
    add_descriptions(experiment, rows)
    return {
        "comparison": rows,
        "final_scores": dict(final_scores),
        "baselines": [short_result(result)],
        "stopped_by_nan": experiment.stopped_by_nan(),
    }


def best_of_kind(results: Sequence[TestResult], kind: str) -> list[TestResult]:
    """The tuned losses of one kind by their score on search_eval."""
    return best_first([result for result in results if result.contender.kind == kind])


def total_counts(searches: Sequence[Searched]) -> Counts:
    """What became of the draws of all of them."""
    return sum((one.loop.counts for one in searches), Counts())


def _entries(experiment: Experiment, searched: Searched, compared: Compared) -> list[dict[str, Any]]:
    """The ranking of one search, what took part in the comparison first."""
    own = best_first([result for result in compared.tuned if result.contender in searched.taking_part])
    return ranking_entries(searched.loop, searched.ranked, own, experiment.equal_losses)


def _take_names(rows: Sequence[dict[str, Any]], kind: str, rankings: Iterable[Sequence[Mapping[str, Any]]]) -> None:
    """Gives the rows of one kind what the entries of the rankings call their losses: one name for one loss."""
    by_trained = {entry["trained"]: entry for entries in rankings for entry in entries if entry["tuned"]}
    for row in rows:
        if row["kind"] == kind:
            row.update({key: by_trained[row["formula"]][key] for key in ("trained", "merged", "formula")})


def _control_summary(control: Sequence[Searched], compared: Compared, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The best that random search found, and what it took."""
    counts, best = total_counts(control), best_of_kind(compared.tuned, RANDOM_SEARCH)[0]
    row = next(row for row in rows if row["name"] == best.contender.label)
    return {
        **short_result(best),
        **{key: row[key] for key in ("formula", "trained", "merged")},
        "trained": counts.trained,
        "copies": sum(one.same_as is not None for searched in control for one in searched.ranked),
        "counts": counts.to_json(),
    }


def baseline_label(first: TestResult, results: Sequence[TestResult]) -> str | None:
    """Name of the loss that the first one is shown beside."""
    baseline = baseline_of(first, results)
    return None if baseline is None else baseline.contender.label


def short_result(result: TestResult) -> dict[str, Any]:
    """A tested loss in a few numbers: how it was trained, and its mean on the test with the interval."""
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


def add_descriptions(experiment: Experiment, rows: Sequence[dict[str, Any]]) -> None:
    """Adds `simplified`, `latex`, `domain` (where both are the loss), `minimal` and `alike` to the rows that have a formula.

    `minimal` is the loss without the terms that do nothing on this task, with the first three of its own; None where it has none,
    and for the many of a ranking that were compared with nothing: to look for it takes seconds of each. `alike` is the name of
    the hand-crafted loss that it is on this task, in whatever clothes, or None, likewise.
    """
    with_formula = [row for row in rows if row.get("formula")]
    texts = list(dict.fromkeys(row["formula"] for row in with_formula))
    compared = {row["formula"] for row in with_formula if row.get("tuned")}
    smaller = {
        text: experiment.equal_losses.minimal(text) if experiment.equal_losses and text in compared else None for text in texts
    }
    alike = _handcrafted_alike(experiment, [text for text in texts if text in compared])
    all_texts = list(dict.fromkeys([*texts, *filter(None, smaller.values())]))
    space, ranges = experiment.space, experiment.task.ranges
    described = describe([reading_of(space, space.parse(text), ranges) for text in all_texts])
    descriptions = dict(zip(all_texts, map(_description, described), strict=True))
    for row in with_formula:
        minimal = smaller[row["formula"]]
        row.update(descriptions[row["formula"]])
        row["minimal"] = minimal and {"formula": minimal, **descriptions[minimal]}
        row["alike"] = alike.get(row["formula"])


def _handcrafted_alike(experiment: Experiment, formulas: Sequence[str]) -> dict[str, str]:
    """Formula -> name of the hand-crafted loss that the space can write and that has its gradients; without the others."""
    if experiment.equal_losses is None or not formulas:
        return {}
    names, texts = [], []
    for name, text in experiment.space.known_losses.items():
        # As the space is set, some may not fit into it.
        with contextlib.suppress(UserError):
            experiment.space.parse(text)
            names, texts = [*names, name], [*texts, text]
    firsts = experiment.equal_losses.firsts([*texts, *formulas])[len(texts) :]
    return {text: names[first] for text, first in zip(formulas, firsts, strict=True) if first < len(names)}


def _description(description: Description) -> dict[str, Any]:
    return {
        "simplified": description.simplified_text,
        "latex": description.latex,
        "domain": description.domain,
        "decimal": description.decimal_text,
    }
