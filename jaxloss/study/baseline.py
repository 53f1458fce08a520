"""The first training of a run: does anything learn here at all?

A search on a task where no loss learns, for want of steps, for a wrong rate or for broken data, ends hours later in a table of
noise. One training with a loss that is known to work, beside a few networks without any, says so after seconds.
"""

import dataclasses
from typing import Any

from jaxloss.runs.archive import Archive
from jaxloss.runs.rows import BASELINE
from jaxloss.study.trainings import Job, Trainings
from jaxloss.tasks.base import SEARCH_EVAL, Task

# Ten classes give one network 5% and another 12%, and one that has collapsed to a single class 10%.
NUM_UNTRAINED = 5


@dataclasses.dataclass(frozen=True)
class Baseline:
    """What became of the first loss of a run, as it is, at the rate of the search.

    Attributes:
      loss: its label.
      learning_rate: of the training.
      untrained: the best score of a few networks without any training.
      trained: the score of the trained one; 0 where it met NaN.
      metric: the name of these scores, see `Task.telling`; empty for the metric of the run.
      evaluated_on: the split they are of.
    """

    loss: str
    learning_rate: float
    untrained: float
    trained: float
    metric: str = ""
    evaluated_on: str = SEARCH_EVAL

    @property
    def learns(self) -> bool:
        """Whether the training was of any use."""
        return self.trained > self.untrained

    def to_json(self) -> dict[str, Any]:
        """For the summary."""
        return {**dataclasses.asdict(self), "learns": self.learns}

    def warning(self, metric: str) -> str:
        """One line for a baseline that does not learn, in a run of this metric."""
        return (
            f"nothing learns: with {self.loss} at rate {self.learning_rate:g} the {self.metric or metric} on {self.evaluated_on} "
            f"is {self.trained:.4f}, and up to {self.untrained:.4f} without any training; look at training.learning_rate, "
            "training.num_epochs and the data"
        )


def train_baseline(
    trainings: Trainings, archive: Archive, task: Task, job: Job, stage: str = BASELINE, evaluate_on: str = SEARCH_EVAL
) -> Baseline:
    """Trains it, or takes it from the archive.

    Args:
      trainings: of the run.
      archive: of the run, where the outcome is kept.
      task: of the run.
      job: of the first loss.
      stage: that the training is stored under.
      evaluate_on: the split that tells.
    """
    stored = archive.state(BASELINE)
    if stored is None:
        trainings.scores(stage, [job], evaluate_on)
        name = task.telling or task.metric
        untrained = [
            trainings.execution.untrained_scores(job.seed + index, job.division, evaluate_on)[name]
            for index in range(NUM_UNTRAINED)
        ]
        trained = trainings.stored(stage, job, evaluate_on).scores.get(name, 0.0)
        outcome = Baseline(job.contender.label, job.point.learning_rate, max(untrained), trained, name, evaluate_on)
        stored = dataclasses.asdict(outcome)
        archive.commit(state={BASELINE: stored})
    return Baseline(**stored)
