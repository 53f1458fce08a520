"""The part of a summary that says what the best loss does, and its best rival."""

from collections.abc import Sequence
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.study.comparison import TestResult
from jaxloss.study.contender import FOUND, RIVALS
from jaxloss.study.diagnosis.ablation import ablate
from jaxloss.study.diagnosis.diagnose import diagnose
from jaxloss.study.experiment import Experiment
from jaxloss.study.tables import best_first


def diagnosed(experiment: Experiment, first: TestResult, results: Sequence[TestResult] = ()) -> dict[str, Any]:
    """What the summary says of a loss, as far as the config asks for it.

    Nothing of it may cost a run its summary: where a part of a user's makes a mistake, a message says so.

    Args:
      experiment: of the run.
      first: the loss.
      results: all that was compared, the first among them.

    Returns:
      `diagnosis`, a list of `diagnose.diagnose`, and `ablation`, see `ablation.ablate`; each where there is such.
    """
    settings, found = experiment.plan.comparison, {}
    if settings.diagnosis:
        rivals = [one for one in results if one is not first and (one.contender.kind in RIVALS or first.contender.kind != FOUND)]
        looked_at = (_diagnosis(experiment, one) for one in [first, *best_first(rivals)[:1]])
        found["diagnosis"] = [one for one in looked_at if one is not None]
    if settings.term_ablation and results and (ablation := _ablation(experiment, first)) is not None:
        found["ablation"] = ablation
    return found


def _diagnosis(experiment: Experiment, result: TestResult) -> dict[str, Any] | None:
    try:
        return diagnose(result.contender, result.point, experiment.task)
    except UserError as error:
        experiment.progress.message(f"left out: {error}")
        return None


def _ablation(experiment: Experiment, result: TestResult) -> dict[str, Any] | None:
    formula, equal = result.contender.formula, experiment.equal_losses
    if formula is None:
        return None
    minimal = equal.minimal(formula) if equal is not None else None
    found = ablate(experiment.comparison, result, minimal, experiment.task.ranges)
    if found is None:
        experiment.progress.message(f"comparison.term_ablation: {result.contender.label} has no terms that could be left out")
    return found
