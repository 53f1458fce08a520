"""Regularised evolution with tournament selection (Li et al., CVPR 2022, Section 3.2)."""

from collections.abc import Sequence

from jaxloss.core.errors import UserError
from jaxloss.search.base import Individual, Proposal, Search
from jaxloss.spaces.base import Candidate, Space


class Evolution(Search):
    """The best of a random part of the most recent individuals becomes the parent of the next one."""

    name = "evolution"

    def __init__(
        self,
        space: Space,
        seed: int,
        generation_size: int = 1,
        initial_population: int = 20,
        population_size: int = 2500,
        tournament_ratio: float = 0.05,
        seeds: Sequence[Candidate] = (),
    ):
        """Args:
        space, seed, generation_size: see `Search`.
        initial_population: `K`, random individuals before evolution starts.
        population_size: `P`, only the most recent individuals may become parents.
        tournament_ratio: `T`, the part of the population among which the best is chosen. A small population needs a
          larger one than the paper's 0.05, which of 20 individuals is a tournament of one and selects nothing.
        seeds: candidates that are proposed first.
        """
        super().__init__(space, seed, generation_size)
        if space.offspring is None:
            raise UserError(
                f"search.name={self.name} needs a space with offspring, and the space {space.name} has none: "
                "give it some, or use search.name=random_search"
            )
        self.initial_population = max(initial_population, len(seeds), 1)
        self.population_size = population_size
        self.tournament_ratio = tournament_ratio
        self.seeds = tuple(seeds)

    @property
    def population(self) -> Sequence[Individual]:
        return self._eligible[-self.population_size :]

    def _propose(self, number: int) -> Proposal:
        if number < len(self.seeds):
            return Proposal(number, given=self.seeds[number])
        population = self.population
        if number < self.initial_population or not population:
            return Proposal(number)
        size = max(1, round(self.tournament_ratio * len(population)))
        generator = self.generator(number, 0)

        def tournament() -> Individual:
            chosen = generator.choice(len(population), size=size, replace=False)
            return max((population[index] for index in chosen), key=lambda individual: (individual.fitness, -individual.number))

        parents = [tournament() for _ in range(self.space.num_parents)]
        candidates = tuple(self.space.parse(parent.text) for parent in parents)
        return Proposal(number, tuple(parent.number for parent in parents), candidates)
