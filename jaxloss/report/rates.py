"""How the score of each loss depends on its learning rate, from the trainings of the tuning that the archive holds."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.report.headline import BEST_RIVAL, headline_of
from jaxloss.runs.rows import TrainingRow
from jaxloss.spaces.drawing import OTHER, OWN, REFERENCE

# The stage of the archive that tuning is stored under.
TUNING = "tune"
# A score so near to the best is as good.
AS_GOOD = 0.02
_BINS_PER_DECADE = 4


@dataclasses.dataclass(frozen=True)
class RateCurve:
    """One loss over the rates that it was tuned at.

    Attributes:
      name: of the loss, as in the summary.
      role: `OWN` for the first loss, `OTHER` for its best rival, `REFERENCE` for all others.
      points: `(rate, score)` of every training with a score, whatever its other hyper-parameters.
      best: `(rate, score)`: the best of each quarter of a decade, by rising rate.
    """

    name: str
    role: str
    points: tuple[tuple[float, float], ...]
    best: tuple[tuple[float, float], ...]

    @property
    def as_good(self) -> tuple[float, float]:
        """The lowest and the highest rate around the best one between which no score falls more than `AS_GOOD` behind it."""
        scores = [score for _, score in self.best]
        top = scores.index(max(scores))
        low = high = top
        while low > 0 and scores[low - 1] >= scores[top] - AS_GOOD:
            low -= 1
        while high < len(scores) - 1 and scores[high + 1] >= scores[top] - AS_GOOD:
            high += 1
        return self.best[low][0], self.best[high][0]


def rate_curves(trainings: Sequence[TrainingRow], summary: Mapping[str, Any]) -> list[RateCurve]:
    """The curves of a finished run, the first loss first; those that were tuned at one rate alone are left out.

    Args:
      trainings: of the tuning.
      summary: of the run.
    """
    rows = summary.get("comparison", [])
    differences, rival = summary.get("differences", []), headline_of(summary)[BEST_RIVAL]
    first = differences[0]["first"] if differences else rows[0]["name"] if rows else None
    roles = {first: OWN, **({rival["second"]: OTHER} if rival else {})}
    curves = []
    for row in rows:
        identity = row.get("trained") or row["formula"] or row["name"]
        points = sorted((one.learning_rate, one.score) for one in trainings if one.loss == identity and one.score is not None)
        if len({rate for rate, _ in points}) > 1:
            curves.append(RateCurve(row["name"], roles.get(row["name"], REFERENCE), tuple(points), tuple(_best_of_bins(points))))
    order = (OWN, OTHER, REFERENCE)
    return sorted(curves, key=lambda curve: order.index(curve.role))


def _best_of_bins(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    bins: dict[int, tuple[float, float]] = {}
    for rate, score in points:
        place = math.floor(_BINS_PER_DECADE * math.log10(rate))
        if place not in bins or score > bins[place][1]:
            bins[place] = (rate, score)
    return [bins[place] for place in sorted(bins)]
