"""What a run does, by `config.mode`: search a loss, train with one, compare several, or learn one while networks train."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxloss.core.progress import Progress
from jaxloss.runs import json_text
from jaxloss.runs.directory import RunDirectory
from jaxloss.runs.rows import RANK
from jaxloss.study.comparison import TUNED, Compared, TestResult
from jaxloss.study.contender import FOUND, RANDOM_SEARCH, Contender, TuningPoint
from jaxloss.study.diagnosis.section import diagnosed
from jaxloss.study.experiment import Experiment
from jaxloss.study.lockstep import lockstep_mode
from jaxloss.study.plan import Plan
from jaxloss.study.searches import run_searches
from jaxloss.study.settings import TRAIN
from jaxloss.study.shortening import Shortened, shortened
from jaxloss.study.shown import baseline_of, store_pictures
from jaxloss.study.summary import best_of_kind, compare_summary, search_summary, train_summary
from jaxloss.tasks.base import SEARCH_EVAL


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
    shorter, compared = _with_shortened(experiment, best, compared)
    summary = search_summary(experiment, main, control, compared, final_scores)
    summary["shortened"] = None if shorter is None else shorter.to_json()
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


def _with_shortened(experiment: Experiment, best: TestResult, compared: Compared) -> tuple[Shortened | None, Compared]:
    """The best found loss without what its score does not need, where the config asks for it, and the comparison with it."""
    number = experiment.config.comparison.shortening_trainings
    shorter = shortened(experiment.comparison, best, number) if number else None
    if shorter is None:
        if number:
            experiment.progress.message(
                f"{number} trainings show no smaller form of {best.contender.label} that is as good on {SEARCH_EVAL}"
            )
        return None, compared
    if (twin := _twin(experiment, shorter, compared.tuned)) is not None:
        experiment.progress.message(f"{shorter.contender.label} is {twin.label}")
        return dataclasses.replace(shorter, contender=twin), compared
    also = experiment.compare([shorter.contender])
    return shorter, Compared([*compared.untuned, *also.untuned], [*compared.tuned, *also.tuned])


def _twin(experiment: Experiment, shorter: Shortened, tuned: Sequence[TestResult]) -> Contender | None:
    """The loss of a space that takes part already and trains the network as the shorter one does, if there is one.

    One that is tuned in more than its rate is another.
    """
    others = [one.contender for one in tuned if one.contender.formula is not None and not one.point.hyperparameters]
    firsts = experiment.equal_losses.firsts([shorter.contender.formula, *(one.formula for one in others)])
    return next((one for one, first in zip(others, firsts[1:], strict=True) if first == 0), None)


def _show(experiment: Experiment, stage: str, first: TestResult, results: Sequence[TestResult]) -> None:
    """Stores pictures of a loss, its baseline before it."""
    shown = [one for one in (baseline_of(first, results), first) if one is not None]
    store_pictures(experiment.task, experiment.run.archive, stage, shown)


def _kept_network_scores(experiment: Experiment, contender: Contender, point: TuningPoint) -> dict[str, float]:
    """Trains the network of a run, keeps it, and returns what the task says of it at the end."""
    network = experiment.train_network(contender, point)
    experiment.keep_network(network)
    return experiment.final_scores(network)
