"""The loss-rejection protocol as a filter of the list."""

import dataclasses
from collections.abc import Sequence

from jaxloss.core.form import Expression
from jaxloss.core.verdicts import Verdict, reason_of
from jaxloss.filters.base import Cost, Screened
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.rejection import REASONS, RejectionProtocol


class RejectionFilter:
    """Stops what does not raise the metric; the others are accepted. See `base.Filter`."""

    name, title, cost, remembers, reasons = "rejection", "the rejection protocol", Cost.DESCENT, True, REASONS

    def __init__(self, protocol: RejectionProtocol):
        self.protocol = protocol

    @property
    def compilations(self) -> int:
        """See `base.Filter.compilations`."""
        return self.protocol.compilations

    def check(self, expressions: Sequence[Expression], known: Sequence[Screened], memory: LossMemory) -> list[Screened]:
        """See `base.Filter.check`."""
        del memory
        columns = self.protocol(expressions)
        verdicts = [
            Verdict(reason_of(int(code), REASONS), float(gain))
            for code, gain in zip(columns["reason"], columns["gain"], strict=True)
        ]
        return [dataclasses.replace(one, verdict=verdict) for one, verdict in zip(known, verdicts, strict=True)]
