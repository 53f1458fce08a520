"""The look at several candidates before one of them is trained."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from jaxloss.core.verdicts import Reason
from jaxloss.filters.cascade import Cascade
from jaxloss.runs.checkpoints import Checkpoints
from jaxloss.search.base import Individual
from jaxloss.spaces.base import Space

NOT_PROMISING = Reason("not_promising", "another one of the same round was predicted to score better")
TITLE = "the choice of the most promising"


class Chooser(Protocol):
    """Chooses what is trained."""

    def candidates(self, num_evaluated: int) -> int:
        """How many candidates it wants to choose from, after so many were trained; 1 where it does not choose."""

    def choose(self, evaluated: Sequence[Individual], candidates: Sequence[str]) -> int:
        """The most promising candidate, from those that were trained, in their order. Depends on nothing else."""


@dataclasses.dataclass(frozen=True)
class ChooserContext:
    """What a chooser is made from.

    Attributes:
      space: of the candidates.
      cascades: branch name -> filters, which have described the candidates.
      sections: name of a config section -> its settings, for those that the space reads (`Space.sections`).
      seed: of its randomness.
      checkpoints: of the run, where it keeps what takes long to make.
    """

    space: Space
    cascades: Mapping[str, Cascade]
    sections: Mapping[str, Any]
    seed: int
    checkpoints: Checkpoints
