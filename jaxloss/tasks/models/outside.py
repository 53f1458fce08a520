"""Networks from outside the package: `module:factory` of a Linen or an NNX module."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxloss.core.abstract import is_float, named_errors, outputs, written
from jaxloss.core.errors import UserError, unknown
from jaxloss.core.names import call_factory, import_factory, parameters, takes
from jaxloss.core.types import Array
from jaxloss.tasks.models.network import Network, Variables, linen_network
from jaxloss.tasks.models.registry import MODELS

_EXAMPLES = 2


def network_from_outside(
    name: str,
    num_classes: int,
    options: Mapping[str, Any],
    precision: str,
    image_shape: tuple[int, ...],
    section: str = "task.classification",
    registered: Collection[str] = MODELS,
    is_dense: bool = False,
) -> Network:
    """Makes a network of the user's, and looks at what it gives.

    The factory is called with `num_classes` and the options, with `dtype` where it has such a parameter, and with `rngs` where it
    has that one: it is taken for one of an NNX module then. Images are `[N, H, W, channels]`; logits are made float32.

    Args:
      name: `module:factory`.
      num_classes: `C`, logits per image, or per pixel.
      options: further arguments of the factory.
      precision: what the network is to compute in.
      image_shape: `(H, W, channels)`.
      section: of the config, where the network is named.
      registered: the names that it could have been instead.
      is_dense: it gives logits `[N, H, W, C]`, of every pixel, in place of `[N, C]`.

    Raises:
      UserError: one line for a factory that is not there or raises something, for options that do not fit, for another precision
        than float32 where there is no `dtype`, and for a network that does not give `C` logits.
    """
    factory, what = import_factory("model", name, registered), f"the model '{name}'"
    if reserved := [key for key in ("num_classes", "rngs") if key in options]:
        raise UserError(f"config key {section}.model_options.{reserved[0]} is no option: {what} gets it from the task")
    _check_options(f"option of the model '{name}'", factory, options)
    given = {"num_classes": num_classes, **options}
    if takes(factory, "dtype"):
        given["dtype"] = precision
    elif precision != "float32":
        raise UserError(f"{section}.precision={precision} needs a factory with a parameter dtype, and {what} has none")

    def make(**further: Any) -> Any:
        return call_factory("model", name, factory, {**given, **further}, object)

    if takes(factory, "rngs"):
        # Imported here: it takes a while, and most networks are Linen's.
        from jaxloss.tasks.models.nnx_network import nnx_network

        with named_errors(what):
            network = nnx_network(lambda rngs: make(rngs=rngs))
    else:
        module = make()
        if not isinstance(module, nn.Module):
            raise UserError(f"{what} must be a Linen module, or an NNX module whose factory takes rngs, not {written(module)}")
        network = linen_network(module)
    shape = (_EXAMPLES, *(image_shape[:2] if is_dense else ()), num_classes)
    return checked_network(what, network, shape, image_shape)


def _check_options(kind: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> None:
    known = parameters(factory)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for key in options:
        if known and key not in known:
            raise unknown(kind, key, sorted(known.keys() - {"self", "parent", "name", "num_classes", "dtype", "rngs"}))


def checked_network(
    what: str, network: Network, shape: tuple[int, ...], image_shape: tuple[int, ...], gives: str = "logits"
) -> Network:
    """A network that was looked at, and gives float32.

    Args:
      what: it is, for messages.
      network: to look at, by shapes alone.
      shape: that it has to give for two examples, `[2, ...]`.
      image_shape: of one of them.
      gives: what it gives, for messages.

    Raises:
      UserError: it raises something, or gives another shape.
    """
    key, images = jax.random.key(0), jax.ShapeDtypeStruct((_EXAMPLES, *image_shape), jnp.float32)
    variables = outputs(f"init of {what}", network.init, key, images)
    in_training = outputs(what, network.train, variables, images, key)
    for logits in (outputs(what, network.predict, variables, images), in_training[0]):
        if not is_float(logits) or logits.shape != shape:
            wanted = f"float32[{', '.join(map(str, shape))}] for {_EXAMPLES} examples"
            raise UserError(f"{what} must give {gives}, {wanted}, and gives {written(logits)}")
    program = str(jax.make_jaxpr(network.predict)(variables, images))

    def predict(variables: Variables, images: Array) -> Array:
        return _in_float32(network.predict(variables, images))

    def train(variables: Variables, images: Array, key: Array) -> tuple[Array, Variables]:
        logits, updated = network.train(variables, images, key)
        return _in_float32(logits), updated

    return dataclasses.replace(network, predict=predict, train=train, native_convolution="conv_general_dilated" in program)


def _in_float32(logits: Array) -> Array:
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
