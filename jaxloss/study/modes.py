"""What a run does, by `config.mode`: search a loss, train with one, compare several, or learn one while networks train."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxloss.core.progress import Progress
from jaxloss.runs import json_text
from jaxloss.runs.directory import RunDirectory
from jaxloss.runs.rows import RANK
from jaxloss.study.comparison import TestResult
from jaxloss.study.contender import FOUND, RANDOM_SEARCH, Contender, TuningPoint
from jaxloss.study.diagnosis.section import diagnosed
from jaxloss.study.experiment import TUNED, Experiment
from jaxloss.study.lockstep import lockstep_mode
from jaxloss.study.plan import Plan
from jaxloss.study.searches import run_searches
from jaxloss.study.settings import TRAIN
from jaxloss.study.shown import baseline_of, store_pictures
from jaxloss.study.summary import best_of_kind, compare_summary, search_summary, train_summary


def run_experiment(plan: Plan, run: RunDirectory, progress: Progress, command: str = "") -> dict[str, Any]:
    """Carries the plan out, or on, in its run directory, and writes `summary.json`; `command` repeats it.

    Raises:
      UserError: when nothing passes the filters, or nothing can be trained.
    """
    for remark in plan.remarks:
        progress.message(remark)
    experiment = Experiment(plan, run, progress)
    try:
        experiment.check_untrained()
        summary = MODE_FUNCTIONS[plan.config.mode](experiment)
        summary = {**experiment.facts(), "command": command, **summary}
        summary.setdefault("seconds", {})["total"] = experiment.clock.stop()
    finally:
        experiment.close()
    summary = json_text.without_nan(summary)
    run.write_summary(summary)
    return summary


def search_mode(experiment: Experiment) -> dict[str, Any]:
    """Searches, runs the control, ranks, tunes and tests."""
    experiment.make_filters()
    experiment.check_baseline()
    main = run_searches(experiment, experiment.config.search.name, FOUND, RANK)
    control = (
        run_searches(experiment, "random_search", RANDOM_SEARCH, f"{RANK} random_search") if _has_control(experiment) else []
    )
    found = [one for searched in (*main, *control) for one in searched.taking_part]
    compared = experiment.compare([*found, *experiment.plan.contenders])
    # Chosen by search_eval alone; the test scores of the others are shown beside it.
    best = best_of_kind(compared.tuned, FOUND)[0]
    _show(experiment, TUNED, best, compared.tuned)
    final_scores = _kept_network_scores(experiment, best.contender, best.point)
    summary = search_summary(experiment, main, control, compared, final_scores)
    return {**summary, **diagnosed(experiment, best, compared.tuned)}


def compare_mode(experiment: Experiment) -> dict[str, Any]:
    """Tunes and tests the losses of `config.losses`."""
    experiment.check_baseline()
    compared = experiment.compare(experiment.plan.contenders)
    _show(experiment, TUNED, compared.tuned[0], compared.tuned)
    return {**compare_summary(experiment, compared), **diagnosed(experiment, compared.tuned[0], compared.tuned)}


def train_mode(experiment: Experiment) -> dict[str, Any]:
    """Trains with one given loss over several seeds, and tests it."""
    (contender,) = experiment.plan.contenders
    point = contender.default(experiment.config.training.learning_rate)
    (result,) = experiment.comparison.test([contender], [point], [math.nan], TRAIN, show=True)
    experiment.check_result(result, TRAIN)
    _show(experiment, TRAIN, result, [result])
    summary = train_summary(experiment, result, _kept_network_scores(experiment, contender, point))
    return {**summary, **diagnosed(experiment, result)}


MODE_FUNCTIONS: Mapping[str, Callable[[Experiment], dict[str, Any]]] = {
    "search": search_mode,
    "train": train_mode,
    "compare": compare_mode,
    "lockstep": lockstep_mode,
}


def _has_control(experiment: Experiment) -> bool:
    """Whether random search runs beside the search: it is no control of itself."""
    search = experiment.config.search
    return search.control and search.name != "random_search"


def _show(experiment: Experiment, stage: str, first: TestResult, results: Sequence[TestResult]) -> None:
    """Stores pictures of a loss, its baseline before it."""
    shown = [one for one in (baseline_of(first, results), first) if one is not None]
    store_pictures(experiment.task, experiment.run.archive, stage, shown)


def _kept_network_scores(experiment: Experiment, contender: Contender, point: TuningPoint) -> dict[str, float]:
    """Trains the network of a run, keeps it, and returns what the task says of it at the end."""
    network = experiment.train_network(contender, point)
    experiment.keep_network(network)
    return experiment.final_scores(network)
