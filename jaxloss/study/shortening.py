"""The best loss of a search made shorter, as far as its score on search_eval allows: not all that evolution left in it is of use.

Steps are as in backward elimination: of the losses that are smaller by one step, those are trained that are nearer to the whole
loss than all others of their size, and than all that are smaller, by the gradients of a network's outputs. The smallest takes its
place whose score is within one standard error of that of the whole loss, or above. That score flatters it, as that of the best of
many does; the test tells.

References:
  Breiman et al.: Classification and Regression Trees, 1984, Section 3.4.3 (the rule of one standard error).
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxloss.runs.rows import SHORTEN
from jaxloss.spaces.base import Candidate, Space
from jaxloss.spaces.smaller import num_nodes, smaller_candidates
from jaxloss.study.comparison import Comparison, TestResult
from jaxloss.study.comparison_settings import FIRST_LOOK, WHOLE_LOOK
from jaxloss.study.contender import SHORTENED, Contender
from jaxloss.study.equal_losses import MOST_TRIED
from jaxloss.study.trainings import Job
from jaxloss.tasks.base import SEARCH_EVAL

# Of a step. They are trained side by side.
MOST_PROPOSALS = 8


@dataclasses.dataclass(frozen=True)
class Shortened:
    """What is left of a loss.

    Attributes:
      contender: under the name of the whole loss.
      score: the mean on search_eval of the trainings that it was chosen by, at the rate of the whole loss.
      whole_score: the same of the whole loss.
    """

    contender: Contender
    score: float
    whole_score: float

    def to_json(self) -> dict[str, Any]:
        """For the summary."""
        return {"name": self.contender.label, "search_eval": self.score, "search_eval_of_whole": self.whole_score}


def shortened(comparison: Comparison, whole: TestResult, trainings: int) -> Shortened | None:
    """Trains smaller losses on fresh seeds, on the divisions of the comparison in turn, and never opens the test split.

    Args:
      comparison: of the run, on a task that tells losses apart (`Comparison.equal_losses`).
      whole: a tuned loss of a space, with a formula.
      trainings: that this may take, those of the whole loss included.

    Returns:
      None where no smaller loss is as good.
    """
    return _Shortening(comparison, whole, trainings).run()


class _Shortening:
    def __init__(self, comparison: Comparison, whole: TestResult, trainings: int):
        self._comparison, self._equal, self._whole, self._left = comparison, comparison.equal_losses, whole, trainings
        self._space: Space = whole.contender.family
        candidate = self._space.parse(whole.contender.formula)
        if whole.point.hyperparameters:
            candidate = self._space.with_hyperparameters(candidate, whole.point.hyperparameters)
        self._formula = self._space.write(candidate)
        self._tried = [self._formula]

    def run(self) -> Shortened | None:
        now, score = self._equal.minimal(self._formula) or self._formula, None
        if self._left < WHOLE_LOOK or not self._smaller(now):
            return None
        (reference,) = self._scores([self._formula], range(WHOLE_LOOK))
        if not reference.any():  # whatever learns nothing would be as good
            return None
        while proposals := self._proposals(now):
            if (found := self._smallest_as_good(proposals, reference)) is not None:
                formula, score = found
                # What does nothing there is left out without a training.
                now = self._equal.minimal(formula) or formula
        if score is None:
            return None
        name = f"{self._whole.contender.label} shortened"
        return Shortened(self._contender(now, name), score, float(reference.mean()))

    def _smallest_as_good(self, proposals: Sequence[str], reference: np.ndarray) -> tuple[str, float] | None:
        """The first of the proposals that is as good, with its mean score; None where none is, or no training is left."""
        first = self._scores(proposals, range(FIRST_LOOK))
        for formula, scores in zip(proposals, first, strict=True):
            if not self._as_good(scores, reference[:FIRST_LOOK]) or self._left < WHOLE_LOOK - FIRST_LOOK:
                continue
            (more,) = self._scores([formula], range(FIRST_LOOK, WHOLE_LOOK))
            scores = np.concatenate([scores, more])
            if self._as_good(scores, reference):
                return formula, float(scores.mean())
        return None

    def _proposals(self, now: str) -> list[str]:
        """Of each size the nearest that is nearer than all that are smaller, the smallest first; none without trainings left.

        What trains as something that was tried is known.
        """
        # One of them at least can be looked at as a whole.
        most = min(MOST_PROPOSALS, (self._left - (WHOLE_LOOK - FIRST_LOOK)) // FIRST_LOOK)
        candidates = {self._space.write(one): one for one in self._smaller(now)}
        formulas = [text for text in candidates if text not in self._tried]
        if not formulas or most < 1:
            return []
        sizes = [(num_nodes(self._space, candidates[text]), len(text)) for text in formulas]
        distances = self._equal.distances(self._formula, formulas)
        places = sorted(range(len(formulas)), key=lambda place: (sizes[place][0], distances[place], sizes[place][1]))
        while nearest := _ever_nearer(places, distances):
            # The nearest are the likeliest to be as good.
            if proposals := self._new([formulas[place] for place in nearest])[-most:]:
                self._tried += proposals
                return proposals
            places = [place for place in places if place not in nearest]
        return []

    def _new(self, formulas: Sequence[str]) -> list[str]:
        """Those that are no loss in other clothes: neither one that was tried, nor one before."""
        known = len(self._tried)
        firsts = self._equal.firsts([*self._tried, *formulas])[known:]
        return [text for place, (text, first) in enumerate(zip(formulas, firsts, strict=True), start=known) if first == place]

    def _smaller(self, formula: str) -> Sequence[Candidate]:
        smaller = itertools.islice(smaller_candidates(self._space, self._space.parse(formula)), MOST_TRIED)
        return [one for one in smaller if all(branch.lacking(one[branch.name]) is None for branch in self._space.branches)]

    def _scores(self, formulas: Sequence[str], looks: Sequence[int]) -> np.ndarray:
        """On search_eval, `[M, len(looks)]`."""
        settings = self._comparison.settings
        self._left -= len(formulas) * len(looks)
        contenders, rate = [self._contender(formula) for formula in formulas], self._whole.point.learning_rate
        jobs = [
            Job(one, one.default(rate), settings.first_shortening_seed + look, settings.division_of(look))
            for one in contenders
            for look in looks
        ]
        return np.reshape(self._comparison.trainings.scores(SHORTEN, jobs, SEARCH_EVAL), (len(formulas), len(looks)))

    def _contender(self, formula: str, name: str = "") -> Contender:
        return Contender(name or formula, SHORTENED, self._space, formula, rate_alone=True)

    def _as_good(self, scores: np.ndarray, reference: np.ndarray) -> bool:
        """Whether the mean is above that of the reference, or below by no more than a standard error of the difference.

        A single training that was stopped makes an error as large as what it costs; nothing is given away beyond the margin.
        """
        difference = scores - reference
        error = float(difference.std(ddof=1)) / math.sqrt(len(difference))
        return bool(difference.mean() >= -min(error, self._comparison.settings.margin))


def _ever_nearer(places: Sequence[int], distances: np.ndarray) -> list[int]:
    """Of some places in order, those whose distance is below all before."""
    chosen, nearest = [], math.inf
    for place in places:
        if distances[place] < nearest:
            nearest = distances[place]
            chosen.append(place)
    return chosen
