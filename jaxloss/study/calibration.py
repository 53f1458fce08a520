"""The rate of a search, found with a hand-crafted loss before it begins: candidates are scored at a rate that suits the task.

A search trains every candidate at one rate. Where that rate is far from what suits the task, losses win that make up for it, and
lead no longer once all are tuned.
"""

import dataclasses

import numpy as np

from jaxloss.search.budget import SearchBudget
from jaxloss.study.comparison import Comparison
from jaxloss.study.contender import Contender
from jaxloss.study.trainings import Job
from jaxloss.study.tuning_points import spread_points
from jaxloss.tasks.base import SEARCH_EVAL

STAGE = "calibrate"


def calibrated(budget: SearchBudget, num_trainings: int, contender: Contender, comparison: Comparison) -> SearchBudget:
    """The budget with the rate at which a loss does best, less the trainings that this took.

    Rates are even on a logarithmic scale inside the range in which losses are tuned; each is tried once on every division of
    the data on which candidates are trained. Hyper-parameters of the loss vary with the rate: a scale or a margin that does not
    suit the task would lead to the rate that makes up for it.

    Args:
      budget: of a search.
      num_trainings: to be spent on this at most, one for each division at least; they are part of the budget.
      contender: the loss.
      comparison: trains, and stores what it trained.
    """
    starts = budget.starts[: len({division for _, division in budget.starts})]
    settings, num_rates = comparison.settings, num_trainings // len(starts)
    points = spread_points(contender, num_rates, settings.learning_rate_low, settings.learning_rate_high)
    jobs = [Job(contender, point, seed, division) for point in points for seed, division in starts]
    scores = np.reshape(comparison.trainings.scores(STAGE, jobs, SEARCH_EVAL), (num_rates, len(starts))).mean(axis=1)
    return dataclasses.replace(
        budget,
        learning_rate=points[int(scores.argmax())].learning_rate,
        num_trainings=budget.num_trainings - len(jobs),
    )
