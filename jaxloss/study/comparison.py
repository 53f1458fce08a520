"""An honest comparison of finished losses: the same tuning for each, then the test split, once.

1. `rank`: the best candidates of a search are trained again on fresh seeds; what led by luck falls back. Of candidates that
   train the network alike, in other clothes, only the first goes on.
2. `tune`: every contender, found or hand-crafted, gets the same number of trainings to find its learning rate and its own
   hyper-parameters. The scale of a loss and the learning rate are one knob: an untuned rival is a straw man.
3. `test`: the chosen points, over fresh seeds and several divisions of the data.

Steps 1 and 2 see only search_eval. Every training is looked up in the archive first and stored as soon as it is done.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxloss.core.progress import Progress
from jaxloss.execution.base import Execution, Trial
from jaxloss.runs.archive import Archive
from jaxloss.runs.rows import TrainingRow
from jaxloss.search.records import DoneTrial, training_row
from jaxloss.study.comparison_settings import ComparisonSettings
from jaxloss.study.contender import Contender, TuningPoint, tuning_points
from jaxloss.study.equal_losses import EqualLosses
from jaxloss.study.ranking import Ranked, ranked_by
from jaxloss.study.statistics import Interval, mean_interval
from jaxloss.tasks.base import SEARCH_EVAL, TEST


@dataclasses.dataclass(frozen=True)
class TestResult:
    """Scores of one contender on the test split.

    Attributes:
      contender: whose.
      point: how it was trained.
      search_eval: mean score on search_eval over the seeds of the last tuning stage (or of the ranking); NaN if untuned.
      scores: `(division, seed) -> score`; a training that was stopped counts as 0.
    """

    contender: Contender
    point: TuningPoint
    search_eval: float
    scores: Mapping[tuple[int, int], float]

    @property
    def interval(self) -> Interval:
        """The mean of the scores with its interval."""
        return mean_interval(list(self.scores.values()))


class Compared(NamedTuple):
    """Contenders in one order, each tested as it is and tuned."""

    untuned: list[TestResult]
    tuned: list[TestResult]


def paired_difference(first: TestResult, second: TestResult) -> Interval:
    """The mean of `first - second` over the (division, seed) pairs, which both must share."""
    if first.scores.keys() != second.scores.keys():
        raise ValueError("a paired difference needs the same divisions and seeds on both sides")
    return mean_interval([first.scores[pair] - second.scores[pair] for pair in first.scores])


@dataclasses.dataclass(frozen=True)
class Job:
    """One training of the comparison: of a contender at a point, from a seed, on a division of the data."""

    contender: Contender
    point: TuningPoint
    seed: int
    division: int


class Comparison:
    """The three steps, carried out by one execution; the archive has what is done already."""

    def __init__(
        self,
        execution: Execution,
        archive: Archive,
        settings: ComparisonSettings,
        progress: Progress,
        equal_losses: EqualLosses | None = None,
    ):
        """Of a run; `equal_losses` tells which found losses are one, where the task offers what that takes."""
        self.execution, self.archive, self.settings, self.progress = execution, archive, settings, progress
        self.equal_losses = equal_losses

    def rank(self, contenders: Sequence[Contender], learning_rate: float, stage: str) -> list[Ranked]:
        """Contenders with their mean score over fresh seeds at the rate of the search, best first, copies marked."""
        seeds = [self.settings.seed + i for i in range(self.settings.rank_seeds)]
        jobs = [Job(contender, contender.default(learning_rate), seed, self._division(i)) for contender in contenders
                for i, seed in enumerate(seeds)]  # fmt: skip
        scores = np.reshape(self.scores(stage, jobs, SEARCH_EVAL), (len(contenders), len(seeds)))
        return ranked_by(contenders, scores, self.equal_losses)

    def tune(
        self, contenders: Sequence[Contender], learning_rate: float, num_trainings: int | None = None
    ) -> list[tuple[TuningPoint, float]]:
        """For each contender, the best point and its mean score on search_eval.

        Most of the trainings look widely, with one seed each; the finalists are trained again on fresh seeds.

        Args:
          contenders: that are tuned.
          learning_rate: of the search; see `ComparisonSettings.tune_untuned`.
          num_trainings: for each; by default those of the settings.
        """
        num_finals = self.settings.tuning_finalists * self.settings.tuning_seeds
        count = (num_trainings or self.settings.tuning_trainings) - num_finals
        grids = [self._grid(contender, learning_rate, count) for contender in contenders]
        finalists = self._finalists(contenders, grids)
        return self._best_finalists(contenders, finalists)

    def _grid(self, contender: Contender, learning_rate: float, count: int) -> list[TuningPoint]:
        """So many points for the wide look."""
        settings = self.settings
        own = [contender.default(learning_rate)] if settings.tune_untuned else []
        others = tuning_points(contender, count - len(own), settings.learning_rate_low, settings.learning_rate_high)
        return own + others

    def _finalists(self, contenders: Sequence[Contender], grids: Sequence[Sequence[TuningPoint]]) -> list[list[TuningPoint]]:
        """Of each contender, the best points after one training with each."""
        jobs = [
            Job(contender, point, self._first_tuning_seed, self.settings.divisions[0])
            for contender, grid in zip(contenders, grids, strict=True)
            for point in grid
        ]
        scores = np.reshape(self.scores("tune", jobs, SEARCH_EVAL), (len(contenders), len(grids[0])))
        return [
            [grid[index] for index in np.argsort(-row, kind="stable")[: self.settings.tuning_finalists]]
            for grid, row in zip(grids, scores, strict=True)
        ]

    def _best_finalists(
        self, contenders: Sequence[Contender], finalists: Sequence[Sequence[TuningPoint]]
    ) -> list[tuple[TuningPoint, float]]:
        """Of each contender, the best of the finalists and its mean score, after trainings on fresh seeds."""
        jobs = [
            Job(contender, point, self._first_tuning_seed + 1 + i, self._division(i))
            for contender, chosen in zip(contenders, finalists, strict=True)
            for point in chosen
            for i in range(self.settings.tuning_seeds)
        ]
        shape = (len(contenders), self.settings.tuning_finalists, self.settings.tuning_seeds)
        means = np.reshape(self.scores("tune", jobs, SEARCH_EVAL), shape).mean(axis=2)
        best = means.argmax(axis=1)
        return [(chosen[index], float(row[index])) for chosen, row, index in zip(finalists, means, best, strict=True)]

    def test(
        self, contenders: Sequence[Contender], points: Sequence[TuningPoint], search_eval: Iterable[float], stage: str
    ) -> list[TestResult]:
        """Trains every contender on all seeds and divisions, and opens the test split."""
        pairs = [
            (division, self.settings.seed + 2000 + seed)
            for division in self.settings.divisions
            for seed in range(self.settings.test_seeds)
        ]
        jobs = [
            Job(contender, point, seed, division)
            for contender, point in zip(contenders, points, strict=True)
            for division, seed in pairs
        ]
        scores = np.reshape(self.scores(stage, jobs, TEST), (len(contenders), len(pairs)))
        return [
            TestResult(contender, point, score, dict(zip(pairs, map(float, row), strict=True)))
            for contender, point, score, row in zip(contenders, points, search_eval, scores, strict=True)
        ]

    @property
    def _first_tuning_seed(self) -> int:
        return self.settings.seed + 1000

    def _division(self, index: int) -> int:
        return self.settings.divisions[index % len(self.settings.divisions)]

    def scores(self, stage: str, jobs: Sequence[Job], evaluate_on: str) -> list[float]:
        """Scores on a split in the order of the jobs, trained where they are not stored; 0 for one that was stopped by NaN."""
        stored = [self._stored(stage, job, evaluate_on) for job in jobs]
        missing = _different_trainings([job for job, row in zip(jobs, stored, strict=True) if row is None])
        self._train(stage, missing, evaluate_on, len(jobs))
        rows = [row or self._stored(stage, job, evaluate_on) for row, job in zip(stored, jobs, strict=True)]
        return [row.score if row.score is not None else 0.0 for row in rows]

    def _train(self, stage: str, jobs: Sequence[Job], evaluate_on: str, total: int) -> None:
        """Stores each training as soon as it is done, and says so; `total` is the number of all jobs of the stage."""
        trials = [_trial(job, evaluate_on) for job in jobs]
        outcomes = zip(jobs, trials, self.execution.run(trials), strict=True)
        for number, (job, trial, (outcome, seconds)) in enumerate(outcomes, start=total - len(jobs) + 1):
            row = _row(stage, job, DoneTrial(trial, outcome, seconds))
            self.archive.commit(trainings=[row])
            self.progress.step(stage, number, total, f"{job.contender.label} {_shown(row.score)}")

    def _stored(self, stage: str, job: Job, evaluate_on: str) -> TrainingRow | None:
        rate, hyperparameters = job.point.learning_rate, dict(job.point.hyperparameters)
        return self.archive.find_training(
            stage, job.contender.identity, hyperparameters, rate, job.seed, job.division, evaluate_on
        )


def _different_trainings(jobs: Sequence[Job]) -> list[Job]:
    """Of jobs that ask for the same training, only the first."""
    firsts: dict[tuple, Job] = {}
    for job in jobs:
        hyperparameters = job.point.hyperparameters.items()
        key = (job.contender.identity, job.point.learning_rate, *hyperparameters, job.seed, job.division)
        firsts.setdefault(key, job)
    return list(firsts.values())


def _trial(job: Job, evaluate_on: str) -> Trial:
    encoded = job.contender.encode(job.point)
    return Trial(job.contender.family, encoded, job.point.learning_rate, job.seed, job.division, evaluate_on)


def _row(stage: str, job: Job, done: DoneTrial) -> TrainingRow:
    return training_row(stage, job.contender.identity, job.contender.formula, job.point.hyperparameters, done)


def _shown(score: float | None) -> str:
    return "NaN" if score is None else f"{score:.4f}"
