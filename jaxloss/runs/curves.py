"""The course of a search, from the rows of its archive."""

import collections
import dataclasses
import math
from collections.abc import Sequence

from jaxloss.runs.rows import CandidateRow

WHOLE = "*"  # the branch of the row that stands for the whole candidate


@dataclasses.dataclass(frozen=True)
class SearchCurve:
    """One value per individual, in the order of the proposals; NaN where there is none.

    Attributes:
      name: of the search, in words.
      trainings: how many trainings had been done.
      scores: of the individual.
      best: the best score so far.
      mean: of the finite scores among the most recent individuals.
    """

    name: str
    trainings: list[int]
    scores: list[float]
    best: list[float]
    mean: list[float]


def search_curve(name: str, rows: Sequence[CandidateRow], population_size: int) -> SearchCurve | None:
    """The curve of one search, or None where it has no individuals yet.

    Args:
      name: as in the archive.
      rows: of this search; those of single branches are passed over.
      population_size: how many of the most recent individuals the mean is taken over.
    """
    curve = SearchCurve(name.replace("_", " "), [], [], [], [])
    window: collections.deque[float] = collections.deque()
    total, finite, trained, best = 0.0, 0, 0, math.nan
    for row in sorted((row for row in rows if row.branch == WHOLE), key=lambda row: row.proposal):
        score = math.nan if row.score is None else row.score
        trained += row.training
        window.append(score)
        leaving = window.popleft() if len(window) > population_size else math.nan
        for value, sign in ((score, 1), (leaving, -1)):
            if value == value:
                total, finite = total + sign * value, finite + sign
        best = score if not best >= score and score == score else best
        curve.trainings.append(trained)
        curve.scores.append(score)
        curve.best.append(best)
        curve.mean.append(total / finite if finite else math.nan)
    return curve if curve.trainings else None
