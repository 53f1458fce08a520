"""What the filters found out about the expression of one branch."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from jaxloss.core.types import Reason, Verdict
from jaxloss.graphs.form import Expression


@dataclasses.dataclass(frozen=True)
class Screened:
    """Attributes:
    verdict: accepted, or the first filter that stopped it; its value is the metric gain.
    signature: text form of what trained candidates are compared by, or None where it was stopped before.
    sketch: text form of what rejected ones are remembered by, or None.
    """

    verdict: Verdict
    signature: str | None = None
    sketch: str | None = None


# Neither stopped nor accepted so far.
UNDECIDED = Verdict(Reason.ACCEPTED, float("-inf"))


class Describer(Protocol):
    """Stops hopeless expressions and describes the others, so that equivalent ones can be told.

    What it says of an expression depends on the expression alone.

    Attributes:
      name: of what it computes.
      compilations: how often its jitted function was compiled.
    """

    name: str
    compilations: int

    def __call__(self, expressions: Sequence[Expression]) -> list[Screened]:
        """One result for each: stopped, or `UNDECIDED` with signature and sketch."""
