"""The filters of the two kinds of form: one graph, described by its gradient, and curves, described by their values."""

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Protocol

import jax
import numpy as np

from jaxloss.core.devices import memory_budget
from jaxloss.core.errors import UserError
from jaxloss.core.problem import RejectionProblem
from jaxloss.filters.base import Filter
from jaxloss.filters.contents import Contents
from jaxloss.filters.form_population import FormPopulation
from jaxloss.filters.gradient import GradientStage
from jaxloss.filters.gradient_filter import GradientFilter
from jaxloss.filters.population import BLOCKS, make_population, resolve_batching
from jaxloss.filters.properties import CurveFilter, PropertySettings
from jaxloss.filters.rejection import RejectionProtocol, RejectionSettings, check_headroom
from jaxloss.filters.rejection_filter import RejectionFilter
from jaxloss.filters.remembered_losses import RememberedLosses
from jaxloss.graphs.form import curves_of
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.program import Layout
from jaxloss.spaces.base import Branch


@dataclasses.dataclass(frozen=True)
class FilterSettings:
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


class GraphStage(Protocol):
    """A jitted stage: `(graphs) -> columns`, and how often it was compiled."""

    compilations: int

    def __call__(self, graphs: Sequence[Graph]) -> dict[str, np.ndarray]: ...


class ByKind:
    """Two stages: graphs without aggregation do not pay for pooling."""

    def __init__(self, layout: Layout, make: Callable[[Layout], GraphStage]):
        """Args:
        layout: of all graphs.
        make: makes the stage for a layout.
        """
        self._elementwise = layout.operators.elementwise
        self._stages = {True: make(dataclasses.replace(layout, operators=self._elementwise))}
        self._stages[False] = self._stages[True] if self._elementwise is layout.operators else make(layout)

    def __call__(self, graphs: Sequence[Graph]) -> dict[str, np.ndarray]:
        """As `GraphStage`."""
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


def make_filters(
    branch: Branch, problem: RejectionProblem, settings: FilterSettings, workers: Executor | None = None, num_workers: int = 1
) -> list[Filter]:
    """The filters of a branch.

    Args:
      branch: whose expressions are filtered.
      problem: on which gradients are taken and the rejection protocol runs.
      settings: of all filters.
      workers: threads that the protocol may use, or None.
      num_workers: how many.

    Raises:
      UserError: when the rejection samples leave no room for the asked gain, or the batching does not suit the form.
    """
    form = branch.form
    devices = settings.num_devices or (1 if jax.default_backend() == "cpu" else jax.local_device_count())
    budget = memory_budget()

    def make_protocol(population) -> RejectionProtocol:
        # Threads fill the cores of a CPU; an accelerator is full with one population.
        threads = {"workers": workers, "num_workers": num_workers if jax.default_backend() == "cpu" else 1}
        options = {"shortcuts": settings.shortcuts, "num_devices": devices, **threads}
        return RejectionProtocol(problem, population, settings.rejection, **options)

    filters: list[Filter] = [Contents(branch.required)] if branch.required else []
    if curves_of(form) is None:
        batching = resolve_batching(settings.batching)

        def make_stage(make: Callable, apart: bool) -> GraphStage:
            def of_layout(layout: Layout) -> GraphStage:
                return make(make_population(problem, layout, batching, apart, settings.width, budget))

            return of_layout(form.layout) if batching == BLOCKS else ByKind(form.layout, of_layout)

        gradients = make_stage(lambda population: GradientStage(problem, population, num_devices=devices), apart=False)
        filters.append(GradientFilter(gradients, settings.significant_digits, settings.scale_free, settings.signed))
    else:
        if settings.batching == BLOCKS:
            raise UserError(f"filters.batching={BLOCKS} is for losses of one graph; those of two curves have auto or vmap")
        filters.append(CurveFilter(form, settings.properties))
    filters.append(RememberedLosses(branch.name))
    if settings.rejection is not None:
        check_headroom(problem, settings.rejection)
        if curves_of(form) is None:
            protocol = make_stage(make_protocol, apart=True)
        else:
            protocol = make_protocol(FormPopulation(problem, form, settings.width, budget, settings.batching))
        filters.append(RejectionFilter(protocol))
    return filters
