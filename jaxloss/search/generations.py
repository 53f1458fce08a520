"""Generational evolution from a loss that is known: many offspring, of which the most promising are trained.

All offspring of a generation go through the filters once; what passes is ranked by the value that the filters found, and the best
are trained. The best of those by their scores are the parents of the next generation.

References:
  P. Liu et al.: Loss Function Discovery for Object Detection via Convergence-Simulation Driven Search, ICLR 2021, Algorithm 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.search.base import Individual, Proposal, Search
from jaxloss.search.settings import GenerationsSettings
from jaxloss.spaces.base import Candidate, Space


class Generations(Search):
    """Every generation comes from the best of the one before it; the first from the seeds, which are generation 0."""

    name = "generations"

    settings_class = GenerationsSettings

    def __init__(
        self,
        space: Space,
        seed: int,
        generation_size: int = 1,
        settings: GenerationsSettings | None = None,
        seeds: Sequence[Candidate] = (),
    ):
        """See `Search`; `generation_size` is `N`."""
        super().__init__(space, seed, generation_size)
        self._require_offspring()
        self._settings = settings or GenerationsSettings()
        self.kept, self.seeds = self._settings.kept, tuple(seeds)
        self._generation, self._first, self._parents, self._threshold = 0, 0, (), None

    @property
    def least_promise(self) -> float | None:
        """See `Search.least_promise`: what the best of the last generation had, by its score."""
        if self._threshold is None or not self._settings.threshold:
            return None
        return self._threshold - self._settings.slack

    def ask(self, per_training: int = 1) -> list[Proposal]:
        """The next generation: first the seeds, then offspring of the best that were told since the last one was asked for."""
        del per_training  # the filters rank all of them
        self._take_up(self.individuals[self._first :])
        if self.seeds and not self.individuals:
            return [Proposal(number, given=seed) for number, seed in enumerate(self.seeds)]
        first = len(self.individuals)
        return [self.propose(first + index) for index in range(self.generation_size)]

    def _take_up(self, generation: Sequence[Individual]) -> None:
        """Makes the best of a generation the parents; where none has a score, those before them stay."""
        if not generation:
            return
        scored = [one for one in generation if one.score is not None and not one.passed_over]
        best = sorted(scored, key=lambda one: (-one.fitness, one.number))
        if best:
            self._parents = tuple(one.number for one in best[: self._settings.parents])
            self._threshold = self._threshold if best[0].promise is None else best[0].promise
        self._generation, self._first = self._generation + 1, len(self.individuals)

    def propose(self, number: int) -> Proposal:
        """See `Search.propose`."""
        # Numbers of offspring that are not kept are given again: the generation tells their draws apart.
        place = (self._generation,)
        if not self._parents:
            return Proposal(number, place=place)
        chosen = self.generator(number, 0, *place).integers(len(self._parents), size=self.space.num_parents)
        parents = tuple(self._parents[index] for index in chosen)
        candidates = tuple(self._candidate(parent) for parent in parents)
        return Proposal(number, parents, candidates, place=place)

    def _candidate(self, number: int) -> Candidate:
        return self.space.parse(self.individuals[number].text)

    def state(self) -> dict[str, Any]:
        """See `Search.state`."""
        return {
            "generation": self._generation,
            "first": self._first,
            "parents": list(self._parents),
            "threshold": self._threshold,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Search.restore`."""
        self._generation, self._first = state["generation"], state["first"]
        self._parents, self._threshold = tuple(state["parents"]), state["threshold"]
