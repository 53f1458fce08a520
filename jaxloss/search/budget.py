"""What a search may spend, and what became of its draws."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxloss.core.draws import drawn_seed


@dataclasses.dataclass(frozen=True)
class SearchBudget:
    """What a search may spend, and on what.

    Attributes:
      num_trainings: the search ends when so many networks were trained; a count, never a clock, so that it repeats.
      learning_rate: of every training.
      starts: `(seed, division of the data)` of the trainings of a candidate, whose score is their mean. All candidates share
        them, and with them initialisation and data order, unless `own_seeds`. The papers train once.
      batch: draws per round that go through the filters together.
      max_attempts: bound on the draws for one branch of one individual.
      rungs: numbers of trainings after which a candidate is judged, going up to all starts, see `search.racing`;
        by default a candidate has all its trainings.
      factor: one in so many goes on from a rung.
      own_seeds: each candidate has seeds of its own, on the divisions of `starts`.
    """

    num_trainings: int
    learning_rate: float
    starts: tuple[tuple[int, int], ...]
    batch: int
    max_attempts: int
    rungs: tuple[int, ...] = ()
    factor: int = 3
    own_seeds: bool = False

    def __post_init__(self):
        if not self.rungs:
            object.__setattr__(self, "rungs", (len(self.starts),))

    def starts_of(self, number: int) -> tuple[tuple[int, int], ...]:
        """`(seed, division of the data)` of each training of proposal `number`.

        What shared seeds favour by chance is favoured in all who are like it, so that a search follows it as if it were better;
        with seeds of their own, chance is another one for each, and what many alike have in common is what counts.
        """
        if not self.own_seeds:
            return self.starts
        return tuple((drawn_seed(seed, number), division) for seed, division in self.starts)


@dataclasses.dataclass
class Counts:
    """What became of all draws.

    Attributes:
      proposed: draws of a branch.
      rejected: reason label -> draws.
      equivalent: individuals that took over the score of an equivalent one.
      trained: individuals that were trained.
      trainings: networks that were trained for them.
      stopped_by_nan: individuals of which a training met NaN or infinity.
    """

    proposed: int = 0
    rejected: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    equivalent: int = 0
    trained: int = 0
    trainings: int = 0
    stopped_by_nan: int = 0

    def to_json(self) -> dict[str, Any]:
        """The counts as JSON values."""
        return {**dataclasses.asdict(self), "rejected": dict(sorted(self.rejected.items()))}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Counts":
        """The inverse of `to_json`."""
        return cls(**{**stored, "rejected": collections.Counter(stored["rejected"])})
