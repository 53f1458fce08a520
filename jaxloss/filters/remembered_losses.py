"""The memory as a filter: what is equivalent to a rejected loss is rejected, what is equivalent to a trained one passes."""

import dataclasses
from collections.abc import Sequence

from jaxloss.core.form import Expression
from jaxloss.core.verdicts import ACCEPTED, Reason, Verdict
from jaxloss.filters.base import Cost, Screened
from jaxloss.filters.equivalence import LossMemory

EQUIVALENT_TO_REJECTED = Reason("equivalent_to_rejected", "is equivalent to a loss that was rejected before")


class RememberedLosses:
    """Stops what has the sketch of a loss that was rejected before, as the filters before it described it. See `base.Filter`."""

    name, title, cost, remembers = "memory", "the memory of rejected losses", Cost.LOOKUP, False
    reasons, compilations = (EQUIVALENT_TO_REJECTED,), 0

    def __init__(self, branch: str):
        """Args:
        branch: whose losses are looked up.
        """
        self._branch = branch

    def check(self, expressions: Sequence[Expression], known: Sequence[Screened], memory: LossMemory) -> list[Screened]:
        """See `base.Filter.check`."""
        del expressions
        return [self._look_up(one, memory) for one in known]

    def _look_up(self, known: Screened, memory: LossMemory) -> Screened:
        # The rejected ones first: their sketch is signed, while the norms of L and -L are the same.
        if memory.has_rejected(self._branch, known.sketch):
            return dataclasses.replace(known, verdict=Verdict(EQUIVALENT_TO_REJECTED))
        if (self._branch, known.signature) in memory.accepted_branches:
            # Equivalent to one that has passed the protocol. Whether the whole candidate is known is seen later.
            return dataclasses.replace(known, verdict=Verdict(ACCEPTED))
        return known
