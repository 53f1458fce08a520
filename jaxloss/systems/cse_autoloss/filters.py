"""The filters of CSE-Autoloss: a finite gradient, the properties of Section 3.2.2, the simulation of Section 3.2.3."""

from jaxloss.core.problem import PREDICTIONS
from jaxloss.filters.base import Filter
from jaxloss.filters.contents import Contents
from jaxloss.filters.context import FilterContext
from jaxloss.filters.remembered_losses import RememberedLosses
from jaxloss.filters.standard import gradient_filter, rejection_filters
from jaxloss.systems.cse_autoloss.settings import VerificationSettings
from jaxloss.systems.cse_autoloss.simulation import SimulationFilter
from jaxloss.systems.cse_autoloss.verification import VerificationFilter


def make_filters(context: FilterContext) -> list[Filter]:
    """The list of a branch.

    Raises:
      UserError: when the verification set leaves no room for the asked gain.
    """
    branch = context.branch
    settings = context.sections.get(VerificationSettings.section, VerificationSettings())
    verified = [VerificationFilter(branch.form, branch.name, settings)] if settings.enabled else []
    simulated = [SimulationFilter(one.protocol) for one in rejection_filters(context, PREDICTIONS)]
    return [
        Contents(branch.form, branch.required),
        gradient_filter(context),
        *verified,
        RememberedLosses(branch.name),
        *simulated,
    ]
