"""A network as pure functions over plain variables, whatever library it is written in."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn

from jaxloss.core.names import takes
from jaxloss.core.types import Array, PyTree

Variables = Mapping[str, PyTree]


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that gives logits. Its variables are `{'params': ..., other collections}`, dicts of arrays.

    Attributes:
      init: `(key, images [N, H, W, channels]) -> variables`.
      predict: `(variables, images) -> logits`, `[N, C]` or of every pixel `[N, H, W, C]`, in evaluation mode.
      train: `(variables, images, key) -> (logits, variables)`, in training mode: the second output has the updated statistics.
      native_convolution: see `Task.native_convolution`.
    """

    init: Callable[[Array, Array], Variables]
    predict: Callable[[Variables, Array], Array]
    train: Callable[[Variables, Array, Array], tuple[Array, Variables]]
    native_convolution: bool = False


def linen_network(module: nn.Module, native_convolution: bool = False) -> Network:
    """A Linen module that is called with `(images, train)`, or with images alone where both are the same.

    All collections beside the parameters are updated in training. Random numbers of a training step have the name `dropout`.
    """

    def mode(train: bool) -> dict[str, Any]:
        return {"train": train} if takes(module.__call__, "train") else {}

    def init(key: Array, images: Array) -> Variables:
        return module.init(key, images, **mode(False))

    def predict(variables: Variables, images: Array) -> Array:
        return module.apply(variables, images, **mode(False))

    def train(variables: Variables, images: Array, key: Array) -> tuple[Array, Variables]:
        statistics = [name for name in variables if name != "params"]
        logits, updated = module.apply(variables, images, **mode(True), mutable=statistics, rngs={"dropout": key})
        return logits, {**variables, **updated}

    return Network(init, predict, train, native_convolution)
