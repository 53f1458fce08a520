"""The cascade: filters in the order of their cost, and the reason for every rejection.

contents (host) -> gradient (one call) -> memory of gradients (host) -> rejection protocol (one call)
"""

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, Protocol, TypeVar

import jax
import numpy as np

from jaxloss.core.devices import memory_budget
from jaxloss.core.graph import Graph
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.program import Layout
from jaxloss.core.types import Reason, Verdict
from jaxloss.filters.contents import check_contents
from jaxloss.filters.equivalence import GradientMemory
from jaxloss.filters.gradient import GradientStage, describe_gradient
from jaxloss.filters.population import BLOCKS, make_population, resolve_batching
from jaxloss.filters.rejection import RejectionProtocol, RejectionSettings, check_headroom

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class CascadeSettings:
    """Attributes:
    rejection: settings of the protocol, or None to go without.
    significant_digits: of the gradient norms in the equivalence check.
    scale_free: the equivalence check ignores the scale of the gradient.
    signed: the equivalence check compares the signs of projections too.
    width: candidates per jitted call and device, 0 for as many as suit the device.
    batching: `auto`, `blocks` or `vmap`, see `filters.population`.
    shortcuts: candidates leave the rejection protocol once their verdict is decided.
    num_devices: that a call is spread over; 0 for all accelerators, or the one CPU.
    remembered: graphs whose gradient and verdict are kept, the most recent ones.
    """

    rejection: RejectionSettings | None = dataclasses.field(default_factory=RejectionSettings)
    significant_digits: int = 2
    scale_free: bool = False
    signed: bool = False
    width: int = 0
    batching: str = "auto"
    shortcuts: bool = True
    num_devices: int = 0
    remembered: int = 200_000


class Stage(Protocol):
    """A jitted stage: `(graphs) -> columns`, and how often it was compiled."""

    compilations: int

    def __call__(self, graphs: Sequence[Graph]) -> dict[str, np.ndarray]: ...


class ByKind:
    """Two stages: graphs without aggregation do not pay for pooling."""

    def __init__(self, layout: Layout, make: Callable[[Layout], Stage]):
        """Args:
        layout: of all graphs.
        make: makes the stage for a layout.
        """
        self._elementwise = layout.operators.elementwise
        self._stages = {True: make(dataclasses.replace(layout, operators=self._elementwise))}
        self._stages[False] = self._stages[True] if self._elementwise is layout.operators else make(layout)

    def __call__(self, graphs: Sequence[Graph]) -> dict[str, np.ndarray]:
        """As `Stage`."""
        names = self._elementwise.by_name
        kinds = [all(node.name in names for node in graph.nodes if node.is_operator) for graph in graphs]
        places = [np.flatnonzero(np.equal(kinds, kind)) for kind in (True, False)]
        parts = [
            self._stages[kind]([graphs[i] for i in rows]) for kind, rows in zip((True, False), places, strict=True) if len(rows)
        ]
        order = np.argsort(np.concatenate(places))
        return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}

    @property
    def compilations(self) -> int:
        return sum(stage.compilations for stage in set(self._stages.values()))


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
        num_workers: int = 1,
    ):
        """Raises UserError when the rejection samples leave no room for the asked gain."""
        self.branch, self.layout, self.required, self.settings = branch, layout, required, settings
        batching = resolve_batching(settings.batching)
        devices = settings.num_devices or (1 if jax.default_backend() == "cpu" else jax.local_device_count())

        def make_stage(kind: Callable, apart: bool, **options) -> Stage:
            def make(layout: Layout) -> Stage:
                population = make_population(problem, layout, batching, apart, settings.width, memory_budget())
                return kind(problem, population, num_devices=devices, **options)

            return make(layout) if batching == BLOCKS else ByKind(layout, make)

        self.gradient = make_stage(GradientStage, apart=False)
        self._gradients: Remembered[Screened] = Remembered(settings.remembered)
        self._verdicts: Remembered[Verdict] = Remembered(settings.remembered)
        self.rejection = None
        if settings.rejection is not None:
            check_headroom(problem, settings.rejection)
            options = {"settings": settings.rejection, "shortcuts": settings.shortcuts}
            # Threads fill the cores of a CPU; an accelerator is full with one population.
            threads = {"workers": workers, "num_workers": num_workers if jax.default_backend() == "cpu" else 1}
            self.rejection = make_stage(RejectionProtocol, apart=True, **options, **threads)

    def contents(self, graph: Graph) -> Verdict:
        """The look at the leaves."""
        return check_contents(graph, self.required)

    def screen(self, graphs: Sequence[Graph], memory: GradientMemory) -> list[Screened]:
        """Gradient, memory and rejection protocol for graphs that passed `contents`; the memory is only read.

        What the two jitted stages say of a graph depends on the graph alone, and is kept: a search proposes the same small
        graphs again and again.
        """
        keys = [graph.key(self.layout.operators) for graph in graphs]
        # In one form for all that share a key: rounding depends on the order in which cotangents are added.
        by_key = {key: graph.canonical(self.layout.operators) for key, graph in zip(keys, graphs, strict=True)}
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
        for row in _rows(self.gradient(graphs)):
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
        if memory.has_rejected(self.branch, gradient.sketch):
            return dataclasses.replace(gradient, verdict=Verdict(Reason.EQUIVALENT_TO_REJECTED))
        if (self.branch, gradient.signature) in memory.accepted_branches:
            # Equivalent to one that has passed the protocol. Whether the whole candidate is known is seen later.
            return dataclasses.replace(gradient, verdict=Verdict(Reason.ACCEPTED))
        return gradient

    def _run_protocol(self, graphs: Sequence[Graph]) -> list[Verdict]:
        if self.rejection is None:
            return [Verdict(Reason.ACCEPTED)] * len(graphs)
        return [Verdict(Reason(int(row["reason"])), float(row["gain"])) for row in _rows(self.rejection(graphs))]

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
