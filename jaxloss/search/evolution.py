"""Regularised evolution with tournament selection (Li et al., CVPR 2022, Section 3.2)."""

from collections.abc import Sequence

from jaxloss.search.base import Individual, Proposal, Search
from jaxloss.search.settings import EvolutionSettings
from jaxloss.spaces.base import Candidate, Space


class Evolution(Search):
    """The best of a random part of the most recent individuals becomes the parent of the next one."""

    name = "evolution"

    settings_class = EvolutionSettings

    def __init__(
        self,
        space: Space,
        seed: int,
        generation_size: int = 1,
        settings: EvolutionSettings | None = None,
        seeds: Sequence[Candidate] = (),
    ):
        """See `Search`."""
        super().__init__(space, seed, generation_size)
        self._require_offspring()
        settings = settings or EvolutionSettings()
        self.initial_population = max(settings.initial_population, len(seeds), 1)
        self.population_size = settings.population_size
        self.tournament_ratio = settings.tournament_ratio
        self.equivalents_breed, self.immigrants = settings.equivalents_breed, settings.immigrants
        self.seeds = tuple(seeds)

    @property
    def population(self) -> Sequence[Individual]:
        """The most recent individuals, see `Search.population`."""
        return super().population[-self.population_size :]

    def may_breed(self, individual: Individual) -> bool:
        """See `Search.may_breed`."""
        return super().may_breed(individual) and (individual.trained or self.equivalents_breed)

    def propose(self, number: int) -> Proposal:
        """See `Search.propose`."""
        if number < len(self.seeds):
            return Proposal(number, given=self.seeds[number])
        population = self.population
        if number < self.initial_population or not population:
            return Proposal(number)
        size = max(1, round(self.tournament_ratio * len(population)))
        generator = self.generator(number, 0)
        if self.immigrants and generator.random() < self.immigrants:
            return Proposal(number)

        def tournament() -> Individual:
            chosen = generator.choice(len(population), size=size, replace=False)
            return max((population[index] for index in chosen), key=lambda individual: (individual.fitness, -individual.number))

        parents = [tournament() for _ in range(self.space.num_parents)]
        candidates = tuple(self.space.parse(parent.text) for parent in parents)
        return Proposal(number, tuple(parent.number for parent in parents), candidates)
