"""Model optimisation simulation: how far does gradient descent with a loss bring the metric, without a network (Section 3.2.3)?

The paper trains a detector on a verification set of one image for each category. Here the outputs of the network are optimised
themselves, those of each image of the set for itself: scores of classes with the boxes as they are, judged by the average
precision; boxes, judged by their overlap. All losses of a generation descend side by side in one compiled call.
"""

import dataclasses
from collections.abc import Sequence

from jaxloss.core.form import Expression
from jaxloss.core.verdicts import Reason, Verdict, reason_of
from jaxloss.filters.base import Cost, Screened
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.rejection import NO_METRIC_GAIN, NON_FINITE_OPTIMISATION, RejectionProtocol
from jaxloss.filters.rejection import REASONS as OF_THE_PROTOCOL

DIVERGES = Reason(
    "diverges_in_simulation", "runs into infinity while outputs of a network are optimised with it", is_remembered=True
)
POOR = Reason(
    "poor_in_simulation",
    "does not raise the metric enough while outputs of a network are optimised with it",
    is_remembered=True,
)
_OWN = {NON_FINITE_OPTIMISATION: DIVERGES, NO_METRIC_GAIN: POOR}


class SimulationFilter:
    """Stops what does not raise the metric; of the others it says by how much they do. See `base.Filter`."""

    name, title, cost, remembers = "simulation", "model optimisation simulation", Cost.DESCENT, True
    reasons = (DIVERGES, POOR)

    def __init__(self, protocol: RejectionProtocol):
        """Args:
        protocol: descends on the problem of the branch.
        """
        self._protocol = protocol

    @property
    def compilations(self) -> int:
        """See `base.Filter.compilations`."""
        return self._protocol.compilations

    def check(self, expressions: Sequence[Expression], known: Sequence[Screened], memory: LossMemory) -> list[Screened]:
        """See `base.Filter.check`."""
        del memory
        columns = self._protocol(expressions)
        verdicts = []
        for code, gain in zip(columns["reason"], columns["gain"], strict=True):
            reason = reason_of(int(code), OF_THE_PROTOCOL)
            verdicts.append(Verdict(_OWN.get(reason, reason), float(gain)))
        return [dataclasses.replace(one, verdict=verdict) for one, verdict in zip(known, verdicts, strict=True)]
