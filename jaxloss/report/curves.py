"""The course of a search, from the rows of its archive."""

import collections
import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jaxloss.runs.rows import WHOLE, CandidateRow


@dataclasses.dataclass(frozen=True)
class SearchCurve:
    """One value per training, in the order of the proposals; NaN where there is none.

    Attributes:
      name: of the search, in words.
      is_control: whether it is one that the others are compared with.
      scores: of the trainings.
      best: the best score so far.
      mean: of the finite scores among the most recent individuals, those with the score of an equivalent one included.
    """

    name: str
    is_control: bool
    scores: list[float]
    best: list[float]
    mean: list[float]

    @property
    def trainings(self) -> range:
        """How many trainings had been done at each value."""
        return range(1, len(self.scores) + 1)


def search_curve(name: str, rows: Sequence[CandidateRow], population_size: int, is_control: bool = False) -> SearchCurve | None:
    """The curve of one search, or None where nothing was trained yet.

    Args:
      name: as in the archive.
      rows: of this search; those of single branches are passed over.
      population_size: how many of the most recent individuals the mean is taken over.
      is_control: see `SearchCurve`.
    """
    curve = SearchCurve(name.replace("_", " "), is_control, [], [], [])
    window: collections.deque[float] = collections.deque()
    total, finite, best = 0.0, 0, math.nan
    for row in sorted((row for row in rows if row.branch == WHOLE), key=lambda row: row.proposal):
        score = math.nan if row.score is None else row.score
        window.append(score)
        leaving = window.popleft() if len(window) > population_size else math.nan
        for value, sign in ((score, 1), (leaving, -1)):
            if not math.isnan(value):
                total, finite = total + sign * value, finite + sign
        if row.training:
            curve.scores.append(score)
            best = score if math.isnan(best) or score > best else best
            curve.best.append(best)
            curve.mean.append(math.nan)
        if curve.mean:
            curve.mean[-1] = total / finite if finite else math.nan
    return curve if curve.scores else None


def curves_of(
    config: Mapping[str, Any], rows: Mapping[str, Sequence[CandidateRow]], controls: Collection[str]
) -> list[SearchCurve]:
    """The curves of the searches of a run in which something was trained.

    Args:
      config: of the run, nested.
      rows: name of a search -> its rows of whole candidates.
      controls: names of those that the others are compared with.
    """
    population_size = config.get("search", {}).get("evolution", {}).get("population_size", 2500)
    curves = [search_curve(name, found, population_size, name in controls) for name, found in rows.items()]
    return [curve for curve in curves if curve is not None]
