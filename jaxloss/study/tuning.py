"""The tuning of a comparison: the same number of trainings for every loss, and none of them worse for it.

1. A wide look, one training at each point: the loss as it is, at the rate of the search; points spread over the ranges; then a
   few, one after another, that follow the best so far, beyond the range of rates where it lies at its edge.
2. The finals, on fresh seeds and over the divisions: the loss as it is, always, beside the best others. All finalists share the
   seeds, so that the chosen point is never worse than the loss as it is on what the choice is made by.

Both see only search_eval.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxloss.study.comparison_settings import ComparisonSettings
from jaxloss.study.contender import RIVALS, Contender, TuningPoint
from jaxloss.study.trainings import Job
from jaxloss.study.tuning_points import edge_of, next_rate, spread_points, step_of, trains_alike

# A quarter of the wide look follows the best so far, and at most so many: each waits for the one before it.
_MOST_FOLLOWING = 4


@dataclasses.dataclass(frozen=True)
class Tuned:
    """What came out of the tuning of one contender.

    Attributes:
      point: the best of the finalists.
      score: its mean on search_eval in the finals.
      untuned_score: the mean of the loss as it is, on the same seeds and divisions; never above `score`.
      edge: `lower` or `upper` where no rate beyond that of the point was tried, so that a better one may lie there; else empty.
      other_edges: the same of each hyper-parameter of which that can be said: name -> `lower` or `upper`.
    """

    point: TuningPoint
    score: float
    untuned_score: float
    edge: str = ""
    other_edges: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class _Look:
    """The wide look of one contender: the points so far, the loss as it is first, and the score of each."""

    contender: Contender
    points: tuple[TuningPoint, ...]
    scores: tuple[float, ...] = ()

    @property
    def rates(self) -> list[float]:
        return [point.learning_rate for point in self.points]

    def tried(self, name: str) -> list[float]:
        """The values of a hyper-parameter, in the order in which they were tried."""
        return [point.hyperparameters[name] for point in self.points]

    def following(self, step: float) -> TuningPoint:
        best = self.points[int(np.argmax(self.scores))]
        return dataclasses.replace(best, learning_rate=next_rate(self.rates, best.learning_rate, step))

    def finalists(self, count: int) -> list[TuningPoint]:
        others = 1 + np.argsort(-np.asarray(self.scores[1:]), kind="stable")
        return [self.points[0], *(self.points[index] for index in others[: count - 1])]


class Tuning:
    """Carries the two steps out."""

    def __init__(self, scores: Callable[[Sequence[Job]], Sequence[float]], settings: ComparisonSettings):
        """`scores` trains, and scores on search_eval."""
        self._scores, self._settings = scores, settings

    def tune(self, contenders: Sequence[Contender], learning_rate: float, num_trainings: int) -> list[Tuned]:
        """For each contender, the best point.

        Args:
          contenders: that are tuned.
          learning_rate: of the search, at which each of them is tried as it is.
          num_trainings: for each, in all.
        """
        wide = num_trainings - self._settings.tuning_finalists * self._settings.tuning_seeds
        looks = self._look([self._first_points(contender, learning_rate, wide) for contender in contenders])
        step = step_of(wide - 1 - _following(wide), self._settings.learning_rate_low, self._settings.learning_rate_high)
        while any(len(look.points) < wide for look in looks):
            looks = self._look([self._followed(look, step) if len(look.points) < wide else look for look in looks])
        return self._finals(looks)

    def _first_points(self, contender: Contender, learning_rate: float, wide: int) -> _Look:
        """The loss as it is, and the spread points that are not the same as it."""
        own, count = contender.default(learning_rate), wide - 1 - _following(wide)
        spread = spread_points(contender, count, self._settings.learning_rate_low, self._settings.learning_rate_high)
        return _Look(contender, (own, *(point for point in spread if not trains_alike(point, own))))

    def _followed(self, look: _Look, step: float) -> _Look:
        return dataclasses.replace(look, points=(*look.points, look.following(step)))

    def _look(self, looks: Sequence[_Look]) -> list[_Look]:
        """The looks with the scores that they lack."""
        seed, division = self._settings.first_tuning_seed, self._settings.divisions[0]
        jobs = [
            [Job(look.contender, point, seed, division) for point in look.points[len(look.scores) :]] for look in looks
        ]  # fmt: skip
        scores = iter(self._scores([job for own in jobs for job in own]))
        return [
            dataclasses.replace(look, scores=(*look.scores, *(next(scores) for _ in own)))
            for look, own in zip(looks, jobs, strict=True)
        ]

    def _finals(self, looks: Sequence[_Look]) -> list[Tuned]:
        """Of each contender the best of the finalists, after trainings on fresh seeds."""
        settings = self._settings
        finalists = [look.finalists(settings.tuning_finalists) for look in looks]
        jobs = [
            Job(look.contender, point, settings.first_tuning_seed + 1 + i, settings.division_of(i))
            for look, chosen in zip(looks, finalists, strict=True)
            for point in chosen
            for i in range(settings.tuning_seeds)
        ]
        shape = (len(looks), settings.tuning_finalists, settings.tuning_seeds)
        means = np.reshape(self._scores(jobs), shape).mean(axis=2)
        return [self._tuned(look, chosen, row) for look, chosen, row in zip(looks, finalists, means, strict=True)]

    def _tuned(self, look: _Look, finalists: Sequence[TuningPoint], means: np.ndarray) -> Tuned:
        # Of equal means the first is taken: without evidence a loss stays as it is.
        best = int(np.argmax(means))
        point = finalists[best]
        is_fixed = self._settings.learning_rate_low == self._settings.learning_rate_high
        edge = "" if is_fixed else edge_of(look.rates, point.learning_rate)
        edges = {name: edge_of(look.tried(name), point.hyperparameters[name]) for name in look.contender.tuning_ranges}
        other_edges = {name: one for name, one in edges.items() if one}
        return Tuned(point, float(means[best]), float(means[0]), edge, other_edges)


def _following(wide: int) -> int:
    """How many of the points of a wide look follow the best."""
    return min(wide // 4, _MOST_FOLLOWING)


def best_rival(contenders: Sequence[Contender], tunings: Sequence[Tuned]) -> Contender | None:
    """The hand-crafted or published loss with the best tuned score on search_eval; None where there is none."""
    scores = {one: tuned.score for one, tuned in zip(contenders, tunings, strict=True) if one.kind in RIVALS}
    return max(scores, key=scores.get, default=None)
