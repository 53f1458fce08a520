"""The losses that can be named in a run: a list for people, and the line about a name that is none of them."""

import textwrap
from collections.abc import Mapping, Sequence

from jaxloss.core.errors import UserError, unknown
from jaxloss.spaces.base import Space
from jaxloss.spaces.families import FAMILIES
from jaxloss.spaces.titles import loss_name

# The config keys that take names of losses.
KEYS_OF_LOSSES = ("loss", "losses", "comparison.handcrafted", "search.calibration_loss")


def listed_losses(published: Mapping[str, Sequence[str]]) -> str:
    """All losses that have a name, a line each: what people call it, the arrays that it reads, and its hyper-parameters.

    Args:
      published: name of a system -> names of the losses that its paper published.
    """
    width = max(map(len, FAMILIES))
    lines = ["Losses by name, with what they read and the hyper-parameters that people use:"]
    for name, family in sorted(FAMILIES.items()):
        values = "".join(f"; {key} {value:.4g}" for key, value in family.defaults.items())
        lines.append(f"  {name:{width}}  {loss_name(name)}: {', '.join(family.inputs)}{values}")
    for system, names in published.items():
        lines.append(f"Published, formulas of the space {system}:")
        lines.append(textwrap.fill(", ".join(sorted(names)), 120, initial_indent="  ", subsequent_indent="  "))
    return "\n".join(lines)


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
