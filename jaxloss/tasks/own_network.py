"""The network of a task that is made of a user's arrays: a module, or a function that makes one."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax

from jaxloss.core.abstract import named_errors, written
from jaxloss.core.errors import UserError
from jaxloss.core.names import takes
from jaxloss.core.types import Array
from jaxloss.tasks.models.by_name import network_by_name
from jaxloss.tasks.models.network import Network, Variables, linen_network
from jaxloss.tasks.models.outside import checked_network

_WHAT = "the network"


def own_network(
    network: Any, num_outputs: int, shape: tuple[int, ...], stored_shape: tuple[int, ...], section: str, gives: str
) -> Network:
    """A network that is called with rows as they were given, and may give `[N]` where one output is wanted.

    Args:
      network: a Linen module, a function `rngs -> NNX module`, or a name in `MODELS`.
      num_outputs: wanted for each example.
      shape: of an example as the user has given it.
      stored_shape: of one as the task keeps it.
      section: of the config, for messages about a network that is named.
      gives: what its outputs are, for messages.

    Raises:
      UserError: it is something else, raises something, or gives other outputs.
    """
    if isinstance(network, str):
        return network_by_name(network, num_outputs, {}, "float32", stored_shape, section)
    if isinstance(network, nn.Module):
        made = linen_network(network)
    elif callable(network) and takes(network, "rngs"):
        # Imported here: it takes a while, and most networks are Linen's.
        from jaxloss.tasks.models.nnx_network import nnx_network

        with named_errors(_WHAT):
            made = nnx_network(lambda rngs: network(rngs=rngs))
    else:
        raise UserError(
            f"{_WHAT} must be a Linen module, such as Net(), or a function of rngs that makes an NNX module, such as "
            f"lambda rngs: Net(rngs=rngs), which each training initialises anew; not {_seen(network)}"
        )
    made = _with_shapes(made, shape, num_outputs)
    return checked_network(_WHAT, made, (2, num_outputs), stored_shape, gives)


def _with_shapes(network: Network, shape: tuple[int, ...], num_outputs: int) -> Network:
    def as_given(rows: Array) -> Array:
        return rows.reshape(len(rows), *shape)

    def columns(given: Any) -> Any:
        is_row = num_outputs == 1 and isinstance(given, jax.Array) and given.ndim == 1
        return given[:, None] if is_row else given

    def init(key: Array, rows: Array) -> Variables:
        return network.init(key, as_given(rows))

    def predict(variables: Variables, rows: Array) -> Array:
        return columns(network.predict(variables, as_given(rows)))

    def train(variables: Variables, rows: Array, key: Array) -> tuple[Array, Variables]:
        given, updated = network.train(variables, as_given(rows), key)
        return columns(given), updated

    return dataclasses.replace(network, init=init, predict=predict, train=train)


def _seen(network: Any) -> str:
    return f"the class {network.__name__}" if isinstance(network, type) else written(network)


def network_title(network: Any) -> str:
    """What a network is called in reports."""
    return network if isinstance(network, str) else getattr(network, "__name__", type(network).__name__)
