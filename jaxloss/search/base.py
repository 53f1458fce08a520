"""What every search shares: ask for proposals, tell results, keep the population, the best and the counts.

All randomness on the host comes from `(seed, proposal, branch, attempt)`, so that a proposal can be drawn again at any time.
"""

import abc
import bisect
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.form import Expression
from jaxloss.core.settings import Settings
from jaxloss.spaces.base import Branch, Candidate, Space

SEED_ORIGIN, RANDOM_ORIGIN = "seed", "random"


class FruitlessSearchError(UserError):
    """A search that comes to nothing: no candidate passes its filters, or no training ends."""


@dataclasses.dataclass(frozen=True)
class Individual:
    """A candidate with its score.

    Attributes:
      number: of the proposal.
      text: the candidate in text form.
      score: higher is better; None where the training was stopped by NaN.
      trained: False where the score is that of an equivalent candidate.
      passed_over: True where another candidate of the same proposal round was more promising: it has no score, and is no parent.
      trainings: how many it was scored with; 0 where none were its own.
      promise: what the filters found of it before it was trained, higher is better; None where they found no number.
    """

    number: int
    text: str
    score: float | None
    trained: bool
    passed_over: bool = False
    trainings: int = 0
    promise: float | None = None

    @property
    def fitness(self) -> float:
        """The score as a number: a training that was stopped is worse than any other."""
        return float("-inf") if self.score is None else self.score


@dataclasses.dataclass(frozen=True)
class Proposal:
    """An individual that is still to be drawn: each branch is drawn again until the filters accept it.

    Attributes:
      number: counts proposals from 0.
      parents: numbers of the parents' proposals; none for random initialisation.
      parent_candidates: their expressions.
      given: a candidate that is tried first (a seed of the search), or None.
      place: tells its draws from those of other proposals that had the same number, where numbers are given again.
    """

    number: int
    parents: tuple[int, ...] = ()
    parent_candidates: tuple[Candidate, ...] = ()
    given: Candidate | None = None
    place: tuple[int, ...] = ()


class Search(abc.ABC):
    """Base of the algorithms; a subclass says how one proposal comes about (`propose`)."""

    name: str
    # Of its own section, `search.NAME`; None where it has no settings.
    settings_class: ClassVar[type[Settings] | None] = None
    # Of a generation, so many go on to training, the most promising by its filters; None: each proposal is drawn until it passes.
    kept: int | None = None

    def __init__(
        self,
        space: Space,
        seed: int,
        generation_size: int = 1,
        settings: Settings | None = None,
        seeds: Sequence[Candidate] = (),
    ):
        """Args:
        space: where candidates come from.
        seed: of all draws.
        generation_size: proposals per `ask`; their parents come from the same population. 1 is the papers' steady state.
        settings: of `settings_class`; None for its defaults.
        seeds: candidates that are proposed first, by a search that has a use for them.
        """
        del settings, seeds
        self.space, self.seed, self.generation_size = space, seed, generation_size
        # What it is called in the archive, where a run may have several of one name.
        self.label = self.name
        self.individuals: list[Individual] = []
        self._eligible: list[Individual] = []
        self._trained: list[Individual] = []

    def _require_offspring(self) -> None:
        """For an algorithm that changes candidates.

        Raises:
          UserError: the space has no offspring.
        """
        if self.space.offspring is None:
            raise UserError(
                f"search.name={self.name} needs a space with offspring, and the space {self.space.name} has none: "
                "give it some, or use search.name=random_search"
            )

    # --- to be provided by an algorithm ----------------------------------------------------------------------------------------

    @abc.abstractmethod
    def propose(self, number: int) -> Proposal:
        """How proposal `number` comes about."""

    # --- ask and tell ----------------------------------------------------------------------------------------------------------

    def ask(self, per_training: int = 1) -> list[Proposal]:
        """The proposals of the next generation, all from the present population: so many for each that will be trained."""
        first = len(self.individuals)
        return [self.propose(first + index) for index in range(self.generation_size * per_training)]

    def draw(self, proposal: Proposal, branch: Branch, attempt: int) -> tuple[Expression, str]:
        """The `attempt`-th draw of one branch of a proposal, and how it came about."""
        if proposal.given is not None:
            if attempt == 0:
                return proposal.given[branch.name], SEED_ORIGIN
            attempt -= 1
        generator = self.generator(proposal.number, 1 + self.space.branches.index(branch), attempt, *proposal.place)
        if not proposal.parents:
            return self.space.sample(generator, branch), RANDOM_ORIGIN
        parents = [candidate[branch.name] for candidate in proposal.parent_candidates]
        expression, origin = self.space.offspring(generator, branch, parents)
        return expression, ", with ".join([origin, *map(str, proposal.parents[1:])])

    def tell(self, individual: Individual) -> None:
        """Adds a result; results come in the order of the proposals."""
        if individual.number != len(self.individuals):
            raise ValueError(f"expected the result of proposal {len(self.individuals)}, not of {individual.number}")
        self.individuals.append(individual)
        if self.may_breed(individual):
            self._eligible.append(individual)
        if individual.trained and individual.score is not None:
            bisect.insort(self._trained, individual, key=_best_first)

    def generator(self, *place: int) -> np.random.Generator:
        """The generator of one place, for example `(proposal, branch, attempt)`."""
        return np.random.default_rng((self.seed, *place))

    def may_breed(self, individual: Individual) -> bool:
        """Whether an individual may become a parent as long as it is recent enough."""
        return not individual.passed_over

    @property
    def least_promise(self) -> float | None:
        """What the filters have to find of a loss that is kept, see `kept`; None for anything."""
        return None

    def state(self) -> dict[str, Any]:
        """What cannot be told from the individuals, as JSON values; empty for nothing."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` gave, before the individuals are told again."""
        del state

    # --- results ---------------------------------------------------------------------------------------------------------------

    @property
    def population(self) -> Sequence[Individual]:
        """Those who may become parents."""
        return self._eligible

    def best(self) -> Iterator[Individual]:
        """Trained individuals, best first; among equals the earlier one.

        One that was scored with more trainings comes before all with fewer: it was among the best of them where they were left.
        """
        return iter(self._trained)


def _best_first(individual: Individual) -> tuple[int, float, int]:
    return -individual.trainings, -individual.fitness, individual.number
