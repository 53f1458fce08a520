"""A loss as a file for another framework."""

from collections.abc import Mapping

from jaxloss.core.abstract import named_errors
from jaxloss.core.meanings import LOGITS, ONE_HOT, SOFTMAX
from jaxloss.symbolic.describe import Description
from jaxloss.symbolic.frameworks.dialect import Dialect, translate
from jaxloss.symbolic.frameworks.self_check import FLAT, self_check, shapes_of
from jaxloss.symbolic.python_source import function_suffixes

Meanings = Mapping[str, Mapping[str, str]]


def write(description: Description, dialect: Dialect, found: str = "", meanings: Meanings | None = None) -> str:
    """The text of a module with the functions that the module for JAX has, and what compares them with those of JAX.

    Args:
      description: of the loss.
      dialect: of the framework.
      found: lines on how the loss was found, for the docstring.
      meanings: branch -> input -> what it is, see `core.meanings`. Where they are made of logits and labels, the module has a
        class besides, as losses of the framework are, that takes these.

    Raises:
      UserError: the loss cannot be written as Python, or calls what the framework has not.
    """
    source, reading = description.python(found), description.reading
    parts = []
    if reading.takes_positions:
        functions, shapes = function_suffixes(reading.inputs), shapes_of(reading.num_channels)
        if dialect.of_labels and (arguments := _of_labels(reading.inputs, meanings or {}, dialect)):
            parts.append(dialect.of_labels.replace("ARGUMENTS", arguments))
    else:
        # What a space writes itself has a function `loss` of samples, whatever else it has.
        functions, shapes = dict.fromkeys(reading.inputs, "") if len(reading.inputs) == 1 else {}, (FLAT,)
    checked = {f"loss{suffix}": reading.inputs[branch] for branch, suffix in functions.items()}
    with named_errors(f"the loss '{reading.text}', written as Python,"):
        parts.append(self_check(source, checked, dialect, shapes))
    return translate(source, dialect, *parts)


def _of_labels(inputs: Mapping[str, Mapping], meanings: Meanings, dialect: Dialect) -> str | None:
    """The arguments of `loss_values` made of `logits` and a one-hot `target`; None where that cannot be done."""
    if len(inputs) != 1:
        return None
    ((branch, names),) = inputs.items()
    texts = {SOFTMAX: dialect.calls["jax.nn.softmax"]("logits", axis="-1"), LOGITS: "logits", ONE_HOT: "target"}
    made = [texts.get(meanings.get(branch, {}).get(name)) for name in names]
    return None if None in made else ", ".join(made)
