"""Networks of a task with one output for each class or target: those of the registry, and those from outside."""

from collections.abc import Mapping
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.tasks.models.network import Network, linen_network
from jaxloss.tasks.models.outside import network_from_outside
from jaxloss.tasks.models.registry import MODELS, make_model


def network_by_name(
    name: str,
    num_outputs: int,
    options: Mapping[str, Any],
    precision: str,
    shape: tuple[int, ...],
    section: str = "task.classification",
) -> Network:
    """Makes the network that a config names.

    Args:
      name: in `MODELS`, or `module:factory`.
      num_outputs: logits, or predictions, of each example.
      options: attributes of the network, or arguments of its factory.
      precision: what it is to compute in.
      shape: of the inputs, without their number.
      section: of the config, where the network is named.

    Raises:
      UserError: for a network that is not there, or that the options do not fit; see `network_from_outside`, too.
    """
    if "dtype" in options:
        raise UserError(f"model_options has no dtype: what the network computes in is {section}.precision")
    if name not in MODELS:
        return network_from_outside(name, num_outputs, options, precision, shape, section)
    module = make_model(name, num_outputs, {**options, "dtype": precision})
    # A native convolution inside a CPU loop is many times slower than outside.
    return linen_network(module, getattr(module, "convolution", None) == "native")
