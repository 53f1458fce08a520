"""The filters that suit any form, and those of a branch whose space brings no list of its own.

A space with filters of its own (`Space.make_filters`) puts them together with these parts.
"""

from collections.abc import Callable

import jax

from jaxloss.core.devices import memory_budget
from jaxloss.core.errors import UserError
from jaxloss.core.problem import PREDICTIONS, RejectionProblem
from jaxloss.filters.base import Filter
from jaxloss.filters.by_kind import ByKind, GraphCall
from jaxloss.filters.contents import Contents
from jaxloss.filters.context import FilterContext
from jaxloss.filters.form_population import FormPopulation
from jaxloss.filters.gradient import PopulationGradients
from jaxloss.filters.gradient_filter import GradientFilter
from jaxloss.filters.population import BLOCKS, Population, make_population, resolve_batching
from jaxloss.filters.rejection import RejectionProtocol, check_headroom
from jaxloss.filters.rejection_filter import RejectionFilter
from jaxloss.filters.remembered_losses import RememberedLosses
from jaxloss.graphs.program import Layout


def standard_filters(context: FilterContext) -> list[Filter]:
    """The list of any branch: what it reads, its gradient, the memory, the rejection protocol.

    Raises:
      UserError: when the samples leave no room for the asked gain, or the batching does not suit the form.
    """
    branch = context.branch
    contents = [Contents(branch.form, branch.required)] if branch.required else []
    return [*contents, gradient_filter(context), RememberedLosses(branch.name), *rejection_filters(context)]


def gradient_filter(context: FilterContext, problem: str = PREDICTIONS) -> Filter:
    """Describes losses by their gradients on the joint batch of a problem, which is named."""
    solved, settings = context.problem(problem), context.settings.equivalence

    def make(population: Population) -> PopulationGradients:
        return PopulationGradients(solved, population, num_devices=context.num_devices)

    call = _call(context, solved, make, apart=False)
    return GradientFilter(call, settings.significant_digits, settings.scale_free, settings.signed)


def rejection_filters(context: FilterContext, problem: str = PREDICTIONS) -> list[Filter]:
    """The rejection protocol on a problem, which is named, samples apart; none where the settings have none.

    Raises:
      UserError: when the samples leave no room for the asked gain.
    """
    if not context.settings.rejection.enabled:
        return []
    solved, settings = context.problem(problem), context.settings.rejection
    check_headroom(solved, settings)
    on_cpu = jax.default_backend() == "cpu"

    def make(population: Population) -> RejectionProtocol:
        return RejectionProtocol(
            solved,
            population,
            settings,
            shortcuts=context.shortcuts,
            num_devices=context.num_devices,
            workers=context.workers,
            # Threads fill the cores of a CPU; an accelerator is full with one population.
            num_workers=context.num_workers if on_cpu else 1,
        )

    return [RejectionFilter(_call(context, solved, make, apart=True))]


def _call(context: FilterContext, problem: RejectionProblem, make: Callable[[Population], GraphCall], apart: bool) -> GraphCall:
    """A jitted call for the losses of a form: by the population that suits it."""
    form, settings = context.branch.form, context.settings
    budget = memory_budget()
    if form.program is None:
        if settings.batching == BLOCKS:
            raise UserError(
                f"filters.batching={BLOCKS} is for losses of one graph; the branch {context.branch.name} has auto or vmap"
            )
        blank = context.example if form.blank is None else None
        return make(FormPopulation(problem, form, settings.width, budget, settings.batching, apart, blank))
    batching = resolve_batching(settings.batching)

    def of_layout(layout: Layout) -> GraphCall:
        return make(make_population(problem, layout, batching, apart, settings.width, budget))

    return of_layout(form.program) if batching == BLOCKS else ByKind(form.program, of_layout)
