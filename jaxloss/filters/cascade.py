"""The cascade: filters in the order of their cost, and the reason for every rejection.

contents (host) -> gradient (one call) -> memory of gradients (host) -> rejection protocol (one call)
"""

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

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

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class CascadeSettings:
    """Attributes:
    rejection: settings of the protocol, or None to go without.
    significant_digits: of the gradient norms in the equivalence check.
    scale_free: the equivalence check ignores the scale of the gradient.
    signed: the equivalence check compares the signs of projections too.
    width: candidates per jitted call.
    batching: `auto`, `vmap` or `loop`, see `filters.population`.
    remembered: graphs whose gradient and verdict are kept, the most recent ones.
    """

    rejection: RejectionSettings | None = dataclasses.field(default_factory=RejectionSettings)
    significant_digits: int = 2
    scale_free: bool = False
    signed: bool = False
    width: int = 32
    batching: str = "auto"
    remembered: int = 200_000


class Remembered(Generic[Value]):
    """Results by key, the least recently asked for dropped first."""

    def __init__(self, capacity: int):
        self._capacity, self._values = capacity, {}

    def of(self, keys: Sequence[str], compute: Callable[[Sequence[str]], Sequence[Value]]) -> list[Value]:
        """The value of each key; `compute` gives those that are not known, each once."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._values]
        fresh = dict(zip(missing, compute(missing), strict=True)) if missing else {}
        values = [fresh[key] if key in fresh else self._values[key] for key in keys]
        for key, value in zip(keys, values, strict=True):
            self._values.pop(key, None)
            self._values[key] = value
        while len(self._values) > self._capacity:
            del self._values[next(iter(self._values))]
        return values


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
        self._gradients: Remembered[Screened] = Remembered(settings.remembered)
        self._verdicts: Remembered[Verdict] = Remembered(settings.remembered)
        self.rejection = None
        if settings.rejection is not None:
            check_headroom(problem, settings.rejection)
            protocol = rejection_function(problem, layout, settings.rejection)
            self.rejection = PopulationFunction(protocol, settings.width, batching, workers)

    def contents(self, graph: Graph) -> Verdict:
        """The look at the leaves."""
        return check_contents(graph, self.required)

    def screen(self, graphs: Sequence[Graph], memory: GradientMemory) -> list[Screened]:
        """Gradient, memory and rejection protocol for graphs that passed `contents`; the memory is only read.

        What the two jitted stages say of a graph depends on the graph alone, and is kept: a search proposes the same small
        graphs again and again.
        """
        keys = [graph.key(self.layout.operators) for graph in graphs]
        by_key = dict(zip(keys, graphs, strict=True))
        gradients = self._gradients.of(keys, lambda missing: self._take_gradients([by_key[key] for key in missing]))
        results = [self._look_up(gradient, memory) for gradient in gradients]
        undecided = [key for key, screened in zip(keys, results, strict=True) if screened.verdict is _UNDECIDED]
        verdicts = iter(self._verdicts.of(undecided, lambda missing: self._run_protocol([by_key[key] for key in missing])))
        return [
            dataclasses.replace(screened, verdict=next(verdicts)) if screened.verdict is _UNDECIDED else screened
            for screened in results
        ]

    def _take_gradients(self, graphs: Sequence[Graph]) -> list[Screened]:
        """The descriptions of the gradients, rejected where they are not finite or zero."""
        settings, results = self.settings, []
        for row in _rows(self.gradient([encode(graph, self.layout) for graph in graphs], self.layout)):
            reason = Reason(int(row["reason"]))
            if reason is not Reason.ACCEPTED:
                results.append(Screened(Verdict(reason)))
                continue
            text = describe_gradient(
                row["norms"], row["projections"], settings.significant_digits, settings.scale_free, settings.signed
            )
            results.append(Screened(_UNDECIDED, text.signature, text.sketch))
        return results

    def _look_up(self, gradient: Screened, memory: GradientMemory) -> Screened:
        if gradient.verdict is not _UNDECIDED:
            return gradient
        # The rejected ones first: their sketch is signed, while the norms of L and -L are the same.
        if (self.branch, gradient.sketch) in memory.rejected_branches:
            return dataclasses.replace(gradient, verdict=Verdict(Reason.EQUIVALENT_TO_REJECTED))
        if (self.branch, gradient.signature) in memory.accepted_branches:
            # Equivalent to one that has passed the protocol. Whether the whole candidate is known is seen later.
            return dataclasses.replace(gradient, verdict=Verdict(Reason.ACCEPTED))
        return gradient

    def _run_protocol(self, graphs: Sequence[Graph]) -> list[Verdict]:
        if self.rejection is None:
            return [Verdict(Reason.ACCEPTED)] * len(graphs)
        found = self.rejection([encode(graph, self.layout) for graph in graphs], self.layout)
        return [Verdict(Reason(int(row["reason"])), float(row["gain"])) for row in _rows(found)]

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
