"""How a list of trainings is carried out. The way is chosen once per run and pinned in it."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

from jaxloss.core.family import LossFamily
from jaxloss.core.types import PyTree
from jaxloss.tasks.train import Outcome


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training: a candidate, and all that decides its result.

    Attributes:
      family: the space or the hand-crafted family that the candidate belongs to.
      encoded: the candidate as a pytree of arrays.
      learning_rate: of this training.
      seed: of initialisation and data order; equal for all candidates of a search.
      split: number of the division of the data, see `Task.with_split`.
      evaluate_on: name of the split that is scored.
      keep_variables: return the trained network too.
    """

    family: LossFamily
    encoded: PyTree
    learning_rate: float
    seed: int
    split: int
    evaluate_on: str
    keep_variables: bool = False


class Execution(Protocol):
    """Carries out trials."""

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Outcome, float]]:
        """Yields (outcome, seconds) in the order of the trials, each as soon as it and all before it are done."""

    @property
    def compilations(self) -> dict[str, int]:
        """Family name -> how often its training was compiled."""
