"""Describes graphs by their gradients: what the paper's equivalence check compares (Li et al., CVPR 2022, Section 3.2)."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from jaxloss.core.verdicts import ACCEPTED, Verdict, reason_of
from jaxloss.filters.base import Cost, Screened
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.gradient import REASONS, gradient_texts
from jaxloss.graphs.graph import Graph


class GradientFilter:
    """Stops graphs whose gradient is not finite or zero, and describes the others. See `base.Filter`."""

    name, title, cost, remembers, reasons = "gradient", "one gradient", Cost.CALL, True, REASONS

    def __init__(
        self,
        gradients: Callable[[Sequence[Graph]], dict[str, np.ndarray]],
        significant_digits: int,
        scale_free: bool,
        signed: bool,
    ):
        """Args:
        gradients: takes them, see `gradient.PopulationGradients`.
        significant_digits, scale_free, signed: see `gradient.gradient_texts`.
        """
        self.gradients = gradients
        self._settings = (significant_digits, scale_free, signed)

    @property
    def compilations(self) -> int:
        """See `base.Filter.compilations`."""
        return self.gradients.compilations

    def check(self, expressions: Sequence[Graph], known: Sequence[Screened], memory: LossMemory) -> list[Screened]:
        """See `base.Filter.check`."""
        del memory
        results = []
        columns = self.gradients(expressions)
        for index, before in enumerate(known):
            reason = reason_of(int(columns["reason"][index]), REASONS)
            if reason is not ACCEPTED:
                results.append(dataclasses.replace(before, verdict=Verdict(reason)))
                continue
            text = gradient_texts(columns["norms"][index], columns["projections"][index], *self._settings)
            results.append(dataclasses.replace(before, signature=text.signature, sketch=text.sketch))
        return results
