"""Describes graphs by their gradients: what the paper's equivalence check compares."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxloss.core.types import Reason, Verdict
from jaxloss.filters.gradient import describe_gradient
from jaxloss.filters.screened import UNDECIDED, Screened
from jaxloss.graphs.graph import Graph


class GradientDescriber:
    """Stops graphs whose gradient is not finite or zero. See `screened.Describer`."""

    name = "gradient"

    def __init__(
        self,
        stage: Callable[[Sequence[Graph]], dict[str, np.ndarray]],
        significant_digits: int,
        scale_free: bool,
        signed: bool,
    ):
        """Args:
        stage: takes the gradients, see `gradient.GradientStage`.
        significant_digits, scale_free, signed: see `gradient.describe_gradient`.
        """
        self.stage = stage
        self._settings = (significant_digits, scale_free, signed)

    @property
    def compilations(self) -> int:
        return self.stage.compilations

    def __call__(self, expressions: Sequence[Graph]) -> list[Screened]:
        results = []
        columns = self.stage(expressions)
        for index in range(len(expressions)):
            reason = Reason(int(columns["reason"][index]))
            if reason is not Reason.ACCEPTED:
                results.append(Screened(Verdict(reason)))
                continue
            text = describe_gradient(columns["norms"][index], columns["projections"][index], *self._settings)
            results.append(Screened(UNDECIDED, text.signature, text.sketch))
        return results
