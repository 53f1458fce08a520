"""What a search may spend, and what became of its draws."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class SearchBudget:
    """What a search may spend, and on what.

    Attributes:
      num_trainings: the search ends when so many networks were trained; a count, never a clock, so that it repeats.
      learning_rate: of every training.
      starts: `(seed, division of the data)` of the trainings of a candidate, whose score is their mean. All candidates share
        them, and with them initialisation and data order. The papers train once.
      batch: draws per round that go through the filters together.
      max_attempts: bound on the draws for one branch of one individual.
      rungs: numbers of trainings after which a candidate is judged, going up to all starts, see `search.racing`;
        by default a candidate has all its trainings.
      factor: one in so many goes on from a rung.
    """

    num_trainings: int
    learning_rate: float
    starts: tuple[tuple[int, int], ...]
    batch: int
    max_attempts: int
    rungs: tuple[int, ...] = ()
    factor: int = 3

    def __post_init__(self):
        if not self.rungs:
            object.__setattr__(self, "rungs", (len(self.starts),))


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

    def __add__(self, other: "Counts") -> "Counts":
        """Of two searches together."""
        pairs = {field.name: (getattr(self, field.name), getattr(other, field.name)) for field in dataclasses.fields(self)}
        return Counts(**{name: first + second for name, (first, second) in pairs.items()})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Counts":
        """The inverse of `to_json`."""
        return cls(**{**stored, "rejected": collections.Counter(stored["rejected"])})
