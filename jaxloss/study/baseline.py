"""The first training of a run: does anything learn here at all?

A search on a task where no loss learns, for want of steps, for a wrong rate or for broken data, ends hours later in a table of
noise. One training with a loss that is known to work, beside a few networks without any, says so after seconds.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from jaxloss.runs.archive import Archive
from jaxloss.runs.rows import BASELINE
from jaxloss.study.trainings import Job, Trainings
from jaxloss.tasks.base import SEARCH_EVAL

# Ten classes give one network 5% and another 12%, and one that has collapsed to a single class 10%.
NUM_UNTRAINED = 5


@dataclasses.dataclass(frozen=True)
class Baseline:
    """What became of the first loss of a run, as it is, at the rate of the search.

    Attributes:
      loss: its label.
      learning_rate: of the training.
      untrained: the best score of a few networks without any training, on search_eval.
      trained: the score of the trained one; 0 where it met NaN.
    """

    loss: str
    learning_rate: float
    untrained: float
    trained: float

    @property
    def learns(self) -> bool:
        """Whether the training was of any use."""
        return self.trained > self.untrained

    def to_json(self) -> dict[str, Any]:
        """For the summary."""
        return {**dataclasses.asdict(self), "learns": self.learns}

    def warning(self, metric: str) -> str:
        """One line for a baseline that does not learn."""
        return (
            f"nothing learns: with {self.loss} at rate {self.learning_rate:g} the {metric} on {SEARCH_EVAL} is "
            f"{self.trained:.4f}, and up to {self.untrained:.4f} without any training; look at training.learning_rate, "
            "training.num_epochs and the data"
        )


def train_baseline(trainings: Trainings, archive: Archive, job: Job, untrained: Callable[[], float]) -> Baseline:
    """Trains it, or takes it from the archive.

    Args:
      trainings: of the run.
      archive: of the run, where the outcome is kept.
      job: of the first loss.
      untrained: `() -> score`, see `Baseline`.
    """
    stored = archive.state(BASELINE)
    if stored is None:
        (trained,) = trainings.scores(BASELINE, [job], SEARCH_EVAL)
        stored = dataclasses.asdict(Baseline(job.contender.label, job.point.learning_rate, untrained(), trained))
        archive.commit(state={BASELINE: stored})
    return Baseline(**stored)
