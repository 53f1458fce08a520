"""Few trainings for the hopeless, many for the leaders: successive halving, as candidates come in.

All candidates begin with the same starts, so that after any number of trainings they are compared on equal terms. Those in the
best part of all that were judged there so far go on, see Li et al., A System for Massively Parallel Hyperparameter Tuning (MLSys
2020).
"""

import bisect
from collections.abc import Sequence


class Race:
    """What is known of candidates after each number of trainings at which they are judged."""

    def __init__(self, rungs: Sequence[int], factor: int):
        """Args:
        rungs: numbers of trainings of a candidate, going up; at the last there is nothing more to judge.
        factor: one in so many goes on.
        """
        self.rungs, self.factor = tuple(rungs), factor
        # Of each rung, the mean scores of all that were judged there, going up.
        self._judged: list[list[float]] = [[] for _ in self.rungs[:-1]]

    def recall(self, scores: Sequence[float]) -> None:
        """Takes up a candidate that has run, by the scores of its trainings in their order."""
        for rung, count in enumerate(self.rungs[:-1]):
            if len(scores) >= count:
                bisect.insort(self._judged[rung], _mean(scores[:count]))

    def going_on(self, rung: int, candidates: Sequence[Sequence[float]]) -> list[int]:
        """Judges candidates that have reached a rung.

        Args:
          rung: its index.
          candidates: of each, the scores of its trainings up to there.

        Returns:
          The indices of those that go on, best first; of equals the earlier.
        """
        means = [_mean(scores) for scores in candidates]
        for mean in means:
            bisect.insort(self._judged[rung], mean)
        judged = self._judged[rung]
        # The best of a few is no promise, but somebody has to go on.
        places = max(1, len(judged) // self.factor)
        least = judged[-places]
        return sorted((index for index, mean in enumerate(means) if mean >= least), key=lambda index: (-means[index], index))


def rungs(first: int, factor: int, last: int) -> tuple[int, ...]:
    """`first`, `first * factor` and so on, and `last`; `last` alone where `first` is 0."""
    found = []
    count = first
    while 0 < count < last:
        found.append(count)
        count *= factor
    return (*found, last)


def _mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores)
