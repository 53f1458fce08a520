"""The losses that can be named in a run, for the line about a name that is none of them."""

from collections.abc import Mapping, Sequence

from jaxloss.core.errors import UserError, unknown
from jaxloss.spaces.base import Space
from jaxloss.spaces.families import FAMILIES


def unknown_loss(
    kind: str, text: str, space: Space, published: Mapping[str, str], offers: Mapping[str, Sequence[str]] | None
) -> UserError:
    """The line about a name of no loss, with those that the task can compute.

    Args:
      kind: what the name should have been of, such as `hand-crafted loss`.
      text: the name.
      space: of the run.
      published: name -> formula; those that are of another space are left out.
      offers: branch -> inputs that the task offers; None for all losses.
    """
    if offers is None:
        return unknown(kind, text, [*FAMILIES, *published])
    of_task = [name for name, family in FAMILIES.items() if any({*family.inputs} <= {*names} for names in offers.values())]
    return unknown(kind, text, [*of_task, *(name for name, formula in published.items() if _is_of(space, formula))])


def _is_of(space: Space, formula: str) -> bool:
    try:
        space.parse(formula)
    except UserError:
        return False
    return True
