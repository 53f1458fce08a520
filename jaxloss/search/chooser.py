"""The look at several candidates before one of them is trained (AutoLoss-GMS, supplement, Algorithm 4)."""

from collections.abc import Sequence
from typing import Protocol

from jaxloss.core.verdicts import Reason
from jaxloss.search.base import Individual

NOT_PROMISING = Reason("not_promising", "another one of the same round was predicted to score better")
STAGE = "the choice of the most promising"


class Chooser(Protocol):
    """Chooses what is trained."""

    def candidates(self, num_evaluated: int) -> int:
        """How many candidates it wants to choose from, after so many were trained; 1 where it does not choose."""

    def choose(self, evaluated: Sequence[Individual], candidates: Sequence[str]) -> int:
        """The most promising candidate, from those that were trained, in their order. Depends on nothing else."""
