"""The cascade: filters in the order of their cost, and the reason for every rejection.

contents (host) -> description (one call: a gradient, or curves with their properties) -> memory of descriptions (host)
-> rejection protocol (one call)
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, Protocol, TypeVar

import jax
import numpy as np

from jaxloss.core.devices import memory_budget
from jaxloss.core.errors import UserError
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Reason, Verdict
from jaxloss.filters.contents import check_contents
from jaxloss.filters.describe import GradientDescriber
from jaxloss.filters.equivalence import GradientMemory
from jaxloss.filters.form_population import FormPopulation
from jaxloss.filters.gradient import GradientStage
from jaxloss.filters.population import BLOCKS, make_population, resolve_batching
from jaxloss.filters.properties import CurveDescriber, PropertySettings
from jaxloss.filters.rejection import RejectionProtocol, RejectionSettings, check_headroom
from jaxloss.filters.screened import UNDECIDED, Describer, Screened
from jaxloss.graphs.form import Expression, Form, GraphForm
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.program import Layout

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class CascadeSettings:
    """Attributes:
    rejection: settings of the protocol, or None to go without.
    properties: of margin-based losses, which are described by their curves in place of gradients.
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
    properties: PropertySettings = dataclasses.field(default_factory=PropertySettings)
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


class Cascade:
    """Filters for one branch of a candidate; `contents` and `screen` are the two halves, cheap and batched."""

    def __init__(
        self,
        branch: str,
        form: Form,
        required: Sequence[tuple[Reason, frozenset[str]]],
        problem: RejectionProblem,
        settings: CascadeSettings,
        workers: Executor | None = None,
        num_workers: int = 1,
    ):
        """Raises UserError when the rejection samples leave no room for the asked gain."""
        self.branch, self.form, self.required, self.settings = branch, form, required, settings
        devices = settings.num_devices or (1 if jax.default_backend() == "cpu" else jax.local_device_count())
        budget = memory_budget()

        def make_protocol(population) -> RejectionProtocol:
            # Threads fill the cores of a CPU; an accelerator is full with one population.
            threads = {"workers": workers, "num_workers": num_workers if jax.default_backend() == "cpu" else 1}
            options = {"shortcuts": settings.shortcuts, "num_devices": devices, **threads}
            return RejectionProtocol(problem, population, settings.rejection, **options)

        if isinstance(form, GraphForm):
            batching = resolve_batching(settings.batching)

            def make_stage(make: Callable, apart: bool) -> Stage:
                def of_layout(layout: Layout) -> Stage:
                    return make(make_population(problem, layout, batching, apart, settings.width, budget))

                return of_layout(form.layout) if batching == BLOCKS else ByKind(form.layout, of_layout)

            stage = make_stage(lambda population: GradientStage(problem, population, num_devices=devices), apart=False)
            self.describe: Describer = GradientDescriber(stage, settings.significant_digits, settings.scale_free, settings.signed)
            make_rejection = functools.partial(make_stage, make_protocol, apart=True)
        else:
            self.describe = CurveDescriber(form, settings.properties)
            if settings.batching == BLOCKS:
                raise UserError(f"filters.batching={BLOCKS} is for losses of one graph; those of two curves have auto or vmap")

            def make_rejection() -> RejectionProtocol:
                return make_protocol(FormPopulation(problem, form, settings.width, budget, settings.batching))

        self._descriptions: Remembered[Screened] = Remembered(settings.remembered)
        self._verdicts: Remembered[Verdict] = Remembered(settings.remembered)
        self.rejection: Stage | None = None
        if settings.rejection is not None:
            check_headroom(problem, settings.rejection)
            self.rejection = make_rejection()

    def contents(self, expression: Expression) -> Verdict:
        """The look at the leaves."""
        return check_contents(expression, self.required)

    def screen(self, expressions: Sequence[Expression], memory: GradientMemory) -> list[Screened]:
        """Description, memory and rejection protocol for expressions that passed `contents`; the memory is only read.

        What the two jitted stages say of an expression depends on it alone, and is kept: a search proposes the same small
        graphs again and again.
        """
        keys = [self.form.key(expression) for expression in expressions]
        # In one form for all that share a key: rounding depends on the order in which cotangents are added.
        by_key = {key: self.form.canonical(expression) for key, expression in zip(keys, expressions, strict=True)}
        descriptions = self._descriptions.of(keys, lambda missing: self.describe([by_key[key] for key in missing]))
        results = [self._look_up(description, memory) for description in descriptions]
        undecided = [key for key, screened in zip(keys, results, strict=True) if screened.verdict is UNDECIDED]
        verdicts = iter(self._verdicts.of(undecided, lambda missing: self._run_protocol([by_key[key] for key in missing])))
        return [
            dataclasses.replace(screened, verdict=next(verdicts)) if screened.verdict is UNDECIDED else screened
            for screened in results
        ]

    def _look_up(self, description: Screened, memory: GradientMemory) -> Screened:
        if description.verdict is not UNDECIDED:
            return description
        # The rejected ones first: their sketch is signed, while the norms of L and -L are the same.
        if memory.has_rejected(self.branch, description.sketch):
            return dataclasses.replace(description, verdict=Verdict(Reason.EQUIVALENT_TO_REJECTED))
        if (self.branch, description.signature) in memory.accepted_branches:
            # Equivalent to one that has passed the protocol. Whether the whole candidate is known is seen later.
            return dataclasses.replace(description, verdict=Verdict(Reason.ACCEPTED))
        return description

    def _run_protocol(self, expressions: Sequence[Expression]) -> list[Verdict]:
        if self.rejection is None:
            return [Verdict(Reason.ACCEPTED)] * len(expressions)
        columns = self.rejection(expressions)
        pairs = zip(columns["reason"], columns["gain"], strict=True)
        return [Verdict(Reason(int(reason)), float(gain)) for reason, gain in pairs]

    @property
    def compilations(self) -> dict[str, int]:
        """How often each jitted function was compiled."""
        counts = {self.describe.name: self.describe.compilations}
        if self.rejection is not None:
            counts["rejection"] = self.rejection.compilations
        return counts
