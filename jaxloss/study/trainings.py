"""The trainings of a comparison: each is looked up in the archive first, and stored as soon as it is done."""

import dataclasses
from collections.abc import Sequence

from jaxloss.core.progress import Progress
from jaxloss.execution.base import Execution, Trial
from jaxloss.runs.archive import Archive
from jaxloss.runs.rows import TrainingRow
from jaxloss.runs.shown import outputs_name, packed
from jaxloss.search.records import DoneTrial, training_row
from jaxloss.study.contender import Contender, TuningPoint


@dataclasses.dataclass(frozen=True)
class Job:
    """One training of the comparison: of a contender at a point, from a seed, on a division of the data.

    Its network is shown in pictures, where the task has any, if `show` says so.
    """

    contender: Contender
    point: TuningPoint
    seed: int
    division: int
    show: bool = False


class Trainings:
    """Carries jobs out by one execution; the archive has what is done already."""

    def __init__(self, execution: Execution, archive: Archive, progress: Progress):
        """Of a run."""
        self.execution, self.archive, self.progress = execution, archive, progress

    def scores(self, stage: str, jobs: Sequence[Job], evaluate_on: str) -> list[float]:
        """Scores in the order of the jobs, trained where they are not stored; 0 for a training that was stopped by NaN."""
        stored = [self.stored(stage, job, evaluate_on) for job in jobs]
        missing = _different([job for job, row in zip(jobs, stored, strict=True) if row is None])
        self._train(stage, missing, evaluate_on, len(jobs))
        rows = [row or self.stored(stage, job, evaluate_on) for row, job in zip(stored, jobs, strict=True)]
        return [row.score if row.score is not None else 0.0 for row in rows]

    def _train(self, stage: str, jobs: Sequence[Job], evaluate_on: str, total: int) -> None:
        """Stores each training as soon as it is done, and says so; `total` is the number of all jobs of the stage."""
        trials = [_trial(job, evaluate_on) for job in jobs]
        outcomes = zip(jobs, trials, self.execution.run(trials), strict=True)
        for number, (job, trial, (outcome, seconds)) in enumerate(outcomes, start=total - len(jobs) + 1):
            row = _row(stage, job, DoneTrial(trial, outcome, seconds))
            shown = {} if outcome.shown is None else {outputs_name(row): packed(outcome.shown)}
            self.archive.commit(trainings=[row], state=shown)
            self.progress.step(stage, number, total, f"{job.contender.label} {_shown(row.score)}")

    def stored(self, stage: str, job: Job, evaluate_on: str) -> TrainingRow | None:
        """The row of a training; None where it is still to be done."""
        rate, hyperparameters = job.point.learning_rate, dict(job.point.hyperparameters)
        return self.archive.find_training(
            stage, job.contender.identity, hyperparameters, rate, job.seed, job.division, evaluate_on
        )


def _different(jobs: Sequence[Job]) -> list[Job]:
    """Of jobs that ask for the same training, only the first."""
    firsts: dict[tuple, Job] = {}
    for job in jobs:
        hyperparameters = job.point.hyperparameters.items()
        key = (job.contender.identity, job.point.learning_rate, *hyperparameters, job.seed, job.division)
        firsts.setdefault(key, job)
    return list(firsts.values())


def _trial(job: Job, evaluate_on: str) -> Trial:
    encoded = job.contender.encode(job.point)
    rate, show = job.point.learning_rate, job.show
    return Trial(job.contender.family, encoded, rate, job.seed, job.division, evaluate_on, show=show)


def _row(stage: str, job: Job, done: DoneTrial) -> TrainingRow:
    return training_row(stage, job.contender.identity, job.contender.formula, job.point.hyperparameters, done)


def _shown(score: float | None) -> str:
    return "NaN" if score is None else f"{score:.4f}"
