"""The filters of AutoLoss-GMS: its properties in place of a gradient, the memory, the toy optimisation."""

from jaxloss.core.errors import UserError
from jaxloss.core.problem import COSINES
from jaxloss.filters.base import Filter
from jaxloss.filters.context import FilterContext
from jaxloss.filters.population import BLOCKS
from jaxloss.filters.remembered_losses import RememberedLosses
from jaxloss.filters.standard import rejection_filters
from jaxloss.systems.autoloss_gms.properties import CurveFilter
from jaxloss.systems.autoloss_gms.settings import PropertySettings


def make_filters(context: FilterContext) -> list[Filter]:
    """The list of a branch whose form has two curves.

    Raises:
      UserError: when the batching does not suit it, or the samples leave no room for the asked gain.
    """
    if context.settings.batching == BLOCKS:
        raise UserError(f"filters.batching={BLOCKS} is for losses of one graph; those of two curves have auto or vmap")
    properties = context.sections.get(PropertySettings.section, PropertySettings())
    curves = CurveFilter(context.branch.form, properties)
    return [curves, RememberedLosses(context.branch.name), *rejection_filters(context, COSINES)]
