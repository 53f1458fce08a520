"""Which losses of a run are one on its task, and what is left of a loss without the terms that do nothing there."""

import itertools
from collections.abc import Sequence

import numpy as np

from jaxloss.spaces.output_gradients import LANES, OutputGradients, agreeing, distances
from jaxloss.spaces.smaller import num_nodes, smaller_candidates

# Gradients that may be taken to make one loss smaller.
MOST_TRIED = 1024


class EqualLosses:
    """Tells the losses of a space apart by the gradients of a network's outputs, see `output_gradients`."""

    def __init__(self, gradients: OutputGradients, scale_free: bool = False):
        """Args:
        gradients: of the losses of a space, at the outputs that the task offers.
        scale_free: a positive factor makes no other loss, see `output_gradients.agreeing`.
        """
        self._gradients, self._space, self._scale_free = gradients, gradients.space, scale_free
        self._minimal: dict[str, str | None] = {}

    def firsts(self, formulas: Sequence[str]) -> list[int]:
        """For each formula, the index of the first that is the same loss, which may be its own.

        Compared is with the first of each loss alone: agreement within a tolerance does not pass on from loss to loss.
        """
        gradients = self._gradients([self._space.parse(text) for text in formulas])
        leaders: list[int] = []
        firsts: list[int] = []
        for index, own in enumerate(gradients):
            same = (one for one in leaders if agreeing(gradients[one], own[None], self._scale_free)[0])
            firsts.append(next(same, index))
            if firsts[-1] == index:
                leaders.append(index)
        return firsts

    def shortest(self, formulas: Sequence[str]) -> str:
        """Of formulas of one loss, the one with the fewest nodes; among equals the one of the shortest text."""
        return min(formulas, key=lambda text: (num_nodes(self._space, self._space.parse(text)), len(text), text))

    def distances(self, formula: str, others: Sequence[str]) -> np.ndarray:
        """How far the gradients of other losses are from those of a formula, `[M]`, see `output_gradients.distances`."""
        reference, *gradients = self._gradients([self._space.parse(text) for text in (formula, *others)])
        return distances(reference, np.stack(gradients), self._scale_free)

    def minimal(self, formula: str) -> str | None:
        """The formula without what does nothing on this task; None where nothing can be left out, or the form cannot say."""
        if formula not in self._minimal:
            self._minimal[formula] = self._made_minimal(formula)
        return self._minimal[formula]

    def _made_minimal(self, formula: str) -> str | None:
        """Takes the largest saving that leaves the gradients of the *given* formula as they are, then the next."""
        candidate = self._space.parse(formula)
        (reference,) = self._gradients([candidate])
        left, found = MOST_TRIED, None
        proposals = smaller_candidates(self._space, candidate)
        while left > 0 and (chunk := list(itertools.islice(proposals, min(LANES, left)))):
            left -= len(chunk)
            same = agreeing(reference, self._gradients(chunk), self._scale_free)
            if same.any():
                found = chunk[int(np.argmax(same))]
                proposals = smaller_candidates(self._space, found)
        return None if found is None else self._space.write(found)
