"""How an archive keeps a search in lock-step: what came of each round, and where the next one starts.

The state `RUNS` names the searches of a run, in order; the state of each of these names is a `LockstepState`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

RUNS = "lockstep runs"


@dataclasses.dataclass(frozen=True)
class Round:
    """What came of one round of copies.

    Attributes:
      number: counts the rounds from 0, those too of which no copy was left.
      steps: steps that the network has done at its end.
      mean: of the rewards of the copies that were not stopped; None where all were.
      best: the best of them.
      winner: the proposal whose network goes on; None where all copies were stopped.
      formula: of the loss that it was trained with.
      centre: the loss in the middle of the distribution after the round, as text.
      numbers: of the distribution after the round, by name.
      stopped: copies that met NaN or infinity.
      seconds: of all copies together.
    """

    number: int
    steps: int
    mean: float | None
    best: float | None
    winner: int | None
    formula: str | None
    centre: str
    numbers: Mapping[str, list[float]]
    stopped: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class LockstepState:
    """Where a search in lock-step stands.

    Attributes:
      distribution: its state, see `spaces.distribution`.
      checkpoint: name of the network that the next round starts from; None for a fresh one.
      steps: that this network has done.
      failures: rounds in a row that left no copy.
      rounds: that are done.
    """

    distribution: Mapping[str, Any]
    checkpoint: str | None = None
    steps: int = 0
    failures: int = 0
    rounds: tuple[Round, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**{**stored, "rounds": tuple(Round(**one) for one in stored["rounds"])})
