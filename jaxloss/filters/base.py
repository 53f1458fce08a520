"""What a filter is, and what filters find out about the expression of one branch."""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Protocol

from jaxloss.core.form import Expression
from jaxloss.core.verdicts import ACCEPTED, Reason, Verdict
from jaxloss.filters.equivalence import LossMemory

# Neither stopped nor accepted so far.
UNDECIDED = Verdict(ACCEPTED, float("-inf"))


@dataclasses.dataclass(frozen=True)
class Screened:
    """What is known of an expression.

    Attributes:
      verdict: accepted, or the first filter that stopped it; its value is the metric gain.
      signature: text form of what trained candidates are compared by, or None where it was stopped before.
      sketch: text form of what rejected ones are remembered by, or None.
    """

    verdict: Verdict = UNDECIDED
    signature: str | None = None
    sketch: str | None = None


class Cost(enum.IntEnum):
    """What a look at one expression costs. Filters run in this order, those of one cost as they are listed."""

    DRAW = 0  # on the host, so cheap that it is taken at every draw
    CALL = 1  # part of one jitted call
    LOOKUP = 2  # of what the calls before it have described
    DESCENT = 3  # part of a jitted call of hundreds of iterations


class Filter(Protocol):
    """One filter of a branch.

    Attributes:
      name: short, for the counts of compilations.
      title: what passing it means, for the funnel: 'a look at the leaves'.
      cost: decides its place.
      reasons: all that it may stop an expression for.
      remembers: False where its answer depends on the memory; otherwise it depends on the expression alone, and is kept.
      compilations: how often its jitted function was compiled; 0 where it has none.
    """

    name: str
    title: str
    cost: Cost
    reasons: tuple[Reason, ...]
    remembers: bool
    compilations: int

    def check(self, expressions: Sequence[Expression], known: Sequence[Screened], memory: LossMemory) -> list[Screened]:
        """What is known of each expression afterwards.

        Args:
          expressions: in their canonical form (those of `Cost.DRAW` see them as they were drawn).
          known: of each, so far: undecided, with what earlier filters described.
          memory: of gradients; only read.

        Returns:
          As `known`, with the verdict changed where this filter decides.
        """
