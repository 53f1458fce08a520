"""What a run does, by `config.mode`: search a loss, train with one, or compare several."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxloss.core.progress import Progress
from jaxloss.runs.directory import RunDirectory
from jaxloss.search.loop import SearchLoop
from jaxloss.study.comparison import Ranked, TestResult, different
from jaxloss.study.contender import FOUND, HANDCRAFTED, RANDOM_SEARCH
from jaxloss.study.experiment import Experiment
from jaxloss.study.plan import Plan
from jaxloss.study.statistics import mean_interval
from jaxloss.study.tables import difference_rows
from jaxloss.symbolic.describe import describe
from jaxloss.symbolic.reading import reading_of

NUM_DESCRIBED = 10


def run_experiment(plan: Plan, run: RunDirectory, progress: Progress, command: str = "") -> dict[str, Any]:
    """Carries the plan out, or on, in its run directory, and writes `summary.json`; `command` repeats it.

    Raises:
      UserError: when nothing passes the filters, or nothing can be trained.
    """
    experiment = Experiment(plan, run, progress)
    try:
        experiment.check_untrained()
        summary = MODE_FUNCTIONS[plan.config.mode](experiment)
        summary = {**experiment.facts(), "command": command, **summary}
        summary.setdefault("seconds", {})["total"] = experiment.clock.stop()
    finally:
        experiment.close()
    run.write_summary(summary)
    return summary


def search_mode(experiment: Experiment) -> dict[str, Any]:
    """Searches, runs the control, ranks, tunes and tests."""
    config = experiment.config
    loop = experiment.search(config.search.name)
    ranked = experiment.rank(loop, FOUND, "rank")
    contenders = different(ranked)[: config.comparison.num_found]
    control = None
    if config.search.control and config.search.name != "random_search":
        control = experiment.search("random_search")
        # As many as of the search: the best of several tunings is better than one.
        controls = experiment.rank(control, RANDOM_SEARCH, "rank random_search")
        contenders += different(controls)[: config.comparison.num_found]
    untuned, tuned = experiment.compare([*contenders, *experiment.plan.contenders])
    # Chosen by search_eval alone; the test scores of the others are shown beside it.
    best, *other_found = _best_first(tuned, FOUND)
    final_scores = experiment.keep_network(best.contender, best.setting)
    ranking = _ranking(loop, ranked, [best, *other_found])
    rows = experiment.rows(untuned, tuned)
    _add_descriptions(experiment, [*ranking, *rows])
    best_row = next(row for row in rows if row["name"] == best.contender.label)
    others = [result for result in tuned if result is not best]
    summary = {
        "counts": loop.counts.to_json(),
        "seconds": {name: loop.seconds[name] for name in ("rejection", "choosing", "training") if name in loop.seconds},
        "ranking": ranking,
        "best": {**{key: best_row[key] for key in ("kind", "simplified", "decimal", "latex")}, **_headline(best)},
        "comparison": rows,
        "final_scores": final_scores,
        "baselines": [_headline(result) for result in tuned if result.contender.kind == HANDCRAFTED],
        "differences": difference_rows(best, others, config.comparison.margin),
    }
    if control is not None:
        result = _best_first(tuned, RANDOM_SEARCH)[0]
        copies = sum(one.same_as is not None for one in controls)
        counts = {"trained": control.counts.trained, "copies": copies, "counts": control.counts.to_json()}
        summary["random_search"] = {**_headline(result), **counts}
    return summary


def compare_mode(experiment: Experiment) -> dict[str, Any]:
    """Tunes and tests the losses of `config.losses`."""
    untuned, tuned = experiment.compare(experiment.plan.contenders)
    rows = experiment.rows(untuned, tuned)
    _add_descriptions(experiment, rows)
    differences = difference_rows(tuned[0], tuned[1:], experiment.config.comparison.margin)
    return {
        "comparison": rows,
        "baselines": [_headline(result) for result in tuned],
        "differences": differences,
        "stopped_by_nan": experiment.stopped_by_nan(),
    }


def train_mode(experiment: Experiment) -> dict[str, Any]:
    """Trains with one given loss over several seeds, and tests it."""
    config = experiment.config
    (contender,) = experiment.plan.contenders
    setting = contender.default(config.training.learning_rate)
    (result,) = experiment.comparison.test([contender], [setting], [float("nan")], "train")
    final_scores = experiment.keep_network(contender, setting)
    rows = experiment.rows([result], [result])
    _add_descriptions(experiment, rows)
    return {
        "comparison": rows,
        "final_scores": final_scores,
        "baselines": [_headline(result)],
        "stopped_by_nan": experiment.stopped_by_nan(),
    }


MODE_FUNCTIONS: Mapping[str, Callable[[Experiment], dict[str, Any]]] = {
    "search": search_mode,
    "train": train_mode,
    "compare": compare_mode,
}


def _best_first(results: Sequence[TestResult], kind: str) -> list[TestResult]:
    """The tuned losses of one kind by their score on search_eval."""
    return sorted((result for result in results if result.contender.kind == kind), key=lambda result: -result.search_eval)


def _headline(result: TestResult) -> dict[str, Any]:
    interval = mean_interval(list(result.scores.values()))
    return {
        "name": result.contender.label,
        "formula": result.contender.formula,
        "hyperparameters": {**result.setting.hyperparameters, "learning_rate": result.setting.learning_rate},
        "search_eval": None if math.isnan(result.search_eval) else result.search_eval,
        "test_mean": interval.mean,
        "test_ci95": [interval.low, interval.high],
        "seeds": interval.count,
    }


def _ranking(loop: SearchLoop, ranked: Sequence[Ranked], tuned: Sequence[TestResult]) -> list[dict[str, Any]]:
    """The best of the search: the tuned ones, those that were ranked on fresh seeds, the others by their search score.

    `same_as` is the rank of the loss that a row is a copy of, or None; `tuned` are the rate and the hyper-parameters of the
    comparison, for the losses that took part.
    """
    settings = {result.contender.formula: dataclasses.asdict(result.setting) for result in tuned}
    place = {result.contender.name: index for index, result in enumerate(tuned)}
    ranked = sorted(ranked, key=lambda one: place.get(one.contender.name, len(place)))
    scores = {one.text: one.score for one in loop.search.best()}
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
    rest = [one for one in loop.search.best() if one.text not in again][: max(0, NUM_DESCRIBED - len(rows))]
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
