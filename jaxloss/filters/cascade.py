"""The cascade: filters in the order of their cost, and the reason for every rejection.

contents (host) -> gradient (one call) -> memory of gradients (host) -> rejection protocol (one call)
"""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from jaxloss.core.graph import Graph
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.program import Layout, encode
from jaxloss.core.types import Reason, Verdict
from jaxloss.filters.contents import check_contents
from jaxloss.filters.equivalence import GradientMemory
from jaxloss.filters.gradient import describe_gradient, gradient_function
from jaxloss.filters.population import PopulationFunction, resolve_batching
from jaxloss.filters.rejection import RejectionSettings, check_headroom, rejection_function


@dataclasses.dataclass(frozen=True)
class CascadeSettings:
    """Attributes:
    rejection: settings of the protocol, or None to go without.
    significant_digits: of the gradient norms in the equivalence check.
    scale_free: the equivalence check ignores the scale of the gradient.
    width: candidates per jitted call.
    batching: `auto`, `vmap` or `loop`, see `filters.population`.
    """

    rejection: RejectionSettings | None = dataclasses.field(default_factory=RejectionSettings)
    significant_digits: int = 2
    scale_free: bool = False
    width: int = 32
    batching: str = "auto"


@dataclasses.dataclass(frozen=True)
class Screened:
    """What the cascade found out about the graph of one branch.

    Attributes:
      verdict: accepted, or the first filter that stopped it; its value is the metric gain.
      signature: text form of the gradient norms, or None where no gradient was taken.
      sketch: text form of the signed sketch, or None.
    """

    verdict: Verdict
    signature: str | None = None
    sketch: str | None = None


class Cascade:
    """Filters for one branch of a candidate; `contents` and `screen` are the two halves, cheap and batched."""

    def __init__(
        self,
        branch: str,
        layout: Layout,
        required: Sequence[tuple[Reason, frozenset[str]]],
        problem: RejectionProblem,
        settings: CascadeSettings,
        workers: Executor | None = None,
    ):
        """Raises UserError when the rejection samples leave no room for the asked gain."""
        self.branch, self.layout, self.required, self.settings = branch, layout, required, settings
        batching = resolve_batching(settings.batching)
        self.gradient = PopulationFunction(gradient_function(problem, layout), settings.width, batching, workers)
        self.rejection = None
        if settings.rejection is not None:
            check_headroom(problem, settings.rejection)
            protocol = rejection_function(problem, layout, settings.rejection)
            self.rejection = PopulationFunction(protocol, settings.width, batching, workers)

    def contents(self, graph: Graph) -> Verdict:
        """The look at the leaves."""
        return check_contents(graph, self.required)

    def screen(self, graphs: Sequence[Graph], memory: GradientMemory) -> list[Screened]:
        """Gradient, memory and rejection protocol for graphs that passed `contents`; the memory is only read."""
        programs = [encode(graph, self.layout) for graph in graphs]
        results = [self._look_up(row, memory) for row in _rows(self.gradient(programs, self.layout))]
        open_rows = [index for index, screened in enumerate(results) if screened.verdict is _UNDECIDED]
        if self.rejection is None:
            verdicts = [Verdict(Reason.ACCEPTED)] * len(open_rows)
        elif open_rows:
            found = self.rejection([programs[index] for index in open_rows], self.layout)
            verdicts = [Verdict(Reason(int(row["reason"])), float(row["gain"])) for row in _rows(found)]
        else:
            verdicts = []
        for index, verdict in zip(open_rows, verdicts, strict=True):
            results[index] = dataclasses.replace(results[index], verdict=verdict)
        return results

    def _look_up(self, row: dict[str, np.ndarray], memory: GradientMemory) -> Screened:
        reason = Reason(int(row["reason"]))
        if reason is not Reason.ACCEPTED:
            return Screened(Verdict(reason))
        settings = self.settings
        text = describe_gradient(row["norms"], row["projections"], settings.significant_digits, settings.scale_free)
        verdict = _UNDECIDED
        if (self.branch, text.signature) in memory.accepted_branches:
            # As good as a trained one: it has passed the protocol before. Whether the whole candidate is known is seen later.
            verdict = Verdict(Reason.ACCEPTED)
        elif (self.branch, text.sketch) in memory.rejected_branches:
            verdict = Verdict(Reason.EQUIVALENT_TO_REJECTED)
        return Screened(verdict, text.signature, text.sketch)

    @property
    def compilations(self) -> dict[str, int]:
        """How often each jitted function was compiled."""
        counts = {"gradient": self.gradient.compilations}
        if self.rejection is not None:
            counts["rejection"] = self.rejection.compilations
        return counts


_UNDECIDED = Verdict(Reason.ACCEPTED, float("-inf"))


def _rows(columns: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    size = len(next(iter(columns.values())))
    return [{name: column[i] for name, column in columns.items()} for i in range(size)]
