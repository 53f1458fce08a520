"""The order of what a search found: by fresh seeds, and each loss once, however many dresses it was found in."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxloss.study.contender import Contender
from jaxloss.study.equal_losses import EqualLosses

# Scores are coarse, those of an easy task above all: two losses may agree on a few by chance. Fewer different scores prove
# no identity; trainings that were stopped, which score 0 whatever the loss, prove none either.
_FEWEST_DIFFERENT_SCORES = 4


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A contender with its place among others.

    Attributes:
      contender: who.
      score: mean on search_eval over the fresh seeds.
      same_as: formula of an earlier one that is the same loss on this task. None for others.
    """

    contender: Contender
    score: float
    same_as: str | None = None


def different(ranked: Sequence[Ranked]) -> list[Contender]:
    """Without the copies: the tuning of a copy would repeat another's."""
    return [one.contender for one in ranked if one.same_as is None]


def ranked_by(contenders: Sequence[Contender], scores: np.ndarray, equal_losses: EqualLosses | None = None) -> list[Ranked]:
    """Contenders by the mean of their scores, best first, those marked that are the same loss as an earlier one.

    Args:
      contenders: candidates of one space.
      scores: `[M, seeds]`.
      equal_losses: tells which are one; None takes those with equal scores on every seed.
    """
    means = scores.mean(axis=1)
    order = sorted(range(len(contenders)), key=lambda index: -means[index])
    formulas = [contenders[index].identity for index in order]
    firsts = equal_losses.firsts(formulas) if equal_losses is not None else _of_equal_scores(scores[order])
    return [
        Ranked(contenders[index], float(means[index]), None if first == place else formulas[first])
        for place, (index, first) in enumerate(zip(order, firsts, strict=True))
    ]


def _of_equal_scores(scores: np.ndarray) -> list[int]:
    """For each row, the first with the same scores, if they are different enough to tell; else itself."""
    seen: dict[tuple[float, ...], int] = {}
    rows = [tuple(map(float, row)) for row in scores]
    return [seen.setdefault(row, place) if len(set(row)) >= _FEWEST_DIFFERENT_SCORES else place for place, row in enumerate(rows)]
