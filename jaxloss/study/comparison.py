"""An honest comparison of finished losses: the same tuning for each, then the test split, once.

1. `rank`: the best candidates of a search are trained again on fresh seeds; what led by luck falls back. Of candidates that
   train the network alike, in other clothes, only the first goes on.
2. `tune`: every contender, found or hand-crafted, gets the same number of trainings to find its learning rate and its own
   hyper-parameters. The scale of a loss and the learning rate are one knob: an untuned rival is a straw man. The loss as it is
   takes part, so that none is worse tuned than untuned on search_eval.
3. `test`: the chosen points, over fresh seeds and several divisions of the data.

Steps 1 and 2 see only search_eval. Every training is looked up in the archive first and stored as soon as it is done.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxloss.core.progress import Progress
from jaxloss.execution.base import Execution
from jaxloss.runs.archive import Archive
from jaxloss.study.comparison_settings import ComparisonSettings
from jaxloss.study.contender import Contender, TuningPoint
from jaxloss.study.equal_losses import EqualLosses
from jaxloss.study.ranking import Ranked, ranked_by
from jaxloss.study.statistics import Interval, crossed_interval
from jaxloss.study.trainings import Job, Trainings
from jaxloss.study.tuning import Tuned, Tuning
from jaxloss.tasks.base import SEARCH_EVAL, TEST

# Stages of the trainings on the test split; the verdict is made of the second.
UNTUNED, TUNED = "test untuned", "test tuned"


@dataclasses.dataclass(frozen=True)
class TestResult:
    """Scores of one contender on the test split.

    Attributes:
      contender: whose.
      point: how it was trained.
      search_eval: mean score on search_eval in the finals of the tuning; NaN where nothing was tuned.
      scores: `(division, seed) -> score`; a training that was stopped counts as 0.
      edge: of the tuned rates at which the point lies, see `tuning.Tuned`.
      other_edges: of the hyper-parameters that were tried, likewise.
    """

    contender: Contender
    point: TuningPoint
    search_eval: float
    scores: Mapping[tuple[int, int], float]
    edge: str = ""
    other_edges: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def interval(self) -> Interval:
        """The mean of the scores with its interval."""
        return crossed_interval(self.scores)


class Compared(NamedTuple):
    """Contenders in one order, each tested as it is and tuned."""

    untuned: list[TestResult]
    tuned: list[TestResult]


def paired_difference(first: TestResult, second: TestResult) -> Interval:
    """The mean of `first - second`, pair by pair: over the divisions and seeds, which both must share."""
    if first.scores.keys() != second.scores.keys():
        raise ValueError("a paired difference needs the same divisions and seeds on both sides")
    return crossed_interval({pair: first.scores[pair] - second.scores[pair] for pair in first.scores})


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
        self.settings = settings
        self.trainings = Trainings(execution, archive, progress)
        self.equal_losses = equal_losses

    def rank(self, contenders: Sequence[Contender], learning_rate: float, stage: str) -> list[Ranked]:
        """Contenders with their mean score over fresh seeds at the rate of the search, best first, copies marked."""
        seeds = [self.settings.seed + i for i in range(self.settings.rank_seeds)]
        jobs = [Job(contender, contender.default(learning_rate), seed, self.settings.division_of(i)) for contender in contenders
                for i, seed in enumerate(seeds)]  # fmt: skip
        scores = np.reshape(self.trainings.scores(stage, jobs, SEARCH_EVAL), (len(contenders), len(seeds)))
        return ranked_by(contenders, scores, self.equal_losses)

    def tune(self, contenders: Sequence[Contender], learning_rate: float, num_trainings: int | None = None) -> list[Tuned]:
        """For each contender, the best point on search_eval; see `study.tuning`.

        Args:
          contenders: that are tuned.
          learning_rate: of the search.
          num_trainings: for each; by default those of the settings.
        """
        tuning = Tuning(functools.partial(self.trainings.scores, "tune", evaluate_on=SEARCH_EVAL), self.settings)
        return tuning.tune(contenders, learning_rate, num_trainings or self.settings.tuning_trainings)

    def test_both(self, contenders: Sequence[Contender], tunings: Sequence[Tuned], learning_rate: float) -> Compared:
        """Tests each contender as it is, at the rate of the search, and tuned."""
        points = [contender.default(learning_rate) for contender in contenders]
        untuned = self.test(contenders, points, [one.untuned_score for one in tunings], UNTUNED)
        points, scores = [one.point for one in tunings], [one.score for one in tunings]
        tuned = self.test(contenders, points, scores, TUNED, show=True)
        edges = [{"edge": one.edge, "other_edges": one.other_edges} for one in tunings]
        return Compared(untuned, [dataclasses.replace(result, **own) for result, own in zip(tuned, edges, strict=True)])

    def test(
        self,
        contenders: Sequence[Contender],
        points: Sequence[TuningPoint],
        search_eval: Iterable[float],
        stage: str,
        show: bool = False,
    ) -> list[TestResult]:
        """Trains every contender on all seeds and divisions, and opens the test split.

        Args:
          contenders: that are tested.
          points: how each is trained.
          search_eval: the mean score of each in the finals of the tuning.
          stage: that the trainings are stored under.
          show: the network of the first training of each is shown, where the task has pictures.
        """
        pairs = self.settings.test_pairs
        jobs = [
            Job(contender, point, seed, division, show and number == 0)
            for contender, point in zip(contenders, points, strict=True)
            for number, (division, seed) in enumerate(pairs)
        ]
        scores = np.reshape(self.trainings.scores(stage, jobs, TEST), (len(contenders), len(pairs)))
        return [
            TestResult(contender, point, score, dict(zip(pairs, map(float, row), strict=True)))
            for contender, point, score, row in zip(contenders, points, search_eval, scores, strict=True)
        ]
