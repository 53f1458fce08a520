"""A hand-crafted loss as code, from the very functions that trainings use, with its hyper-parameters written into it."""

import inspect
import math
import re
from collections.abc import Mapping

from jaxloss.spaces.branched import BranchedFamily
from jaxloss.spaces.handcrafted import HandcraftedFamily
from jaxloss.symbolic.domain import ValueRange
from jaxloss.symbolic.python_source import assemble, functions_around
from jaxloss.symbolic.reading import Reading
from jaxloss.symbolic.standing_alone import standing_alone

_ANY = (-math.inf, math.inf)
_POSITIVE = (0.0, math.inf)
# What inputs may be, where their task does not say it.
_RANGES: Mapping[str, ValueRange] = {
    "prior": (0.0, 1.0),
    "cosine": (-1.0, 1.0),
    **dict.fromkeys(("intersection", "union", "enclosing", "distances", "target_distances"), _POSITIVE),
}
# The four sides of a box stand on the last axis.
_BOXES, _NUM_SIDES = ("distances", "target_distances"), 4


def reading_of_handcrafted(
    family: HandcraftedFamily | BranchedFamily,
    hyperparameters: Mapping[str, float],
    ranges: Mapping[str, Mapping[str, ValueRange]] | None = None,
) -> Reading:
    """A hand-crafted loss, with all that writes it as Python for JAX, and from there for other frameworks.

    Args:
      family: of the loss.
      hyperparameters: their values, by the names that the family has for them: `q`, or `branch.q` where there are branches.
      ranges: branch -> input -> (low, high), see `Task.ranges`.
    """
    families = family.families if isinstance(family, BranchedFamily) else {family.branch or "loss": family}
    several = len(families) > 1
    values = {
        branch: {name: float(hyperparameters[f"{branch}.{name}" if several else name]) for name in one.tuning_ranges}
        for branch, one in families.items()
    }
    inputs = {
        branch: {name: (ranges or {}).get(branch, {}).get(name, _RANGES.get(name, _ANY)) for name in one.inputs}
        for branch, one in families.items()
    }
    # The four numbers of a box are told apart by their place.
    of_boxes = any(name in _BOXES for one in families.values() for name in one.inputs)
    return Reading(
        " | ".join((f"{branch}: " if several else "") + _text(one, values[branch]) for branch, one in families.items()),
        None,
        inputs=inputs,
        write_python=lambda _, docstring: _module(families, values, docstring),
        of_positions=True,
        num_channels=_NUM_SIDES if of_boxes else None,
    )


def _text(family: HandcraftedFamily, values: Mapping[str, float]) -> str:
    """Name, numbers, what it computes as far as its function says it in one line, and where it comes from."""
    numbers = ", ".join(f"{name} = {value:.6g}" for name, value in values.items())
    words = (inspect.getdoc(family.values) or "").partition("\n\n")[0].replace("\n", " ").replace("`", "").rstrip(".")
    one_hot = ", of a one-hot target alone" if family.one_hot else ""
    return f"{family.name}{f' with {numbers}' if numbers else ''}: {words} ({family.source}){one_hot}"


def _module(families: Mapping[str, HandcraftedFamily], values: Mapping[str, Mapping[str, float]], docstring: str) -> str:
    several = len(families) > 1
    sources, constants, functions = standing_alone([one.values for one in families.values()]), [], []
    for branch, family in families.items():
        given = []
        for name, value in values[branch].items():
            constant = re.sub(r"\W", "_", f"{branch}_{name}" if several else name).upper()
            constants.append(f"{constant} = {value!r}")
            given.append(f"{name}=jnp.asarray({constant}, {family.inputs[0]}.dtype)")
        arrays = ", ".join(f'"{name}": {name}' for name in family.inputs)
        call = ", ".join([f"Inputs({{{arrays}}}, mask)", *given])
        functions.append((branch, family.inputs, [f"values = {family.values.__name__}({call})"]))
    numbers = "\n# Hyper-parameters of the loss.\n" + "\n".join(constants) + "\n" if constants else ""
    head = 'Inputs = collections.namedtuple("Inputs", "arrays mask")\n'
    return assemble(docstring, f"{head}{numbers}\n\n{sources}\n{functions_around(functions)}", ())
