"""The part of a network that came trained: its weights from a file, and which parameters it has."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.models.pretrainable import Pretrainable
from jaxloss.tasks.models.pretrained import load_pretrained

# The network inside `models.cosine.CosineClassifiers`.
NETWORK = "network"


def with_pretrained(
    init: Callable[[Array], PyTree], network: Pretrainable, path: str, part: str | None = NETWORK
) -> Callable[[Array], PyTree]:
    """`init` with the weights of a file in the network; they are read once.

    Args:
      init: `(key) -> variables`.
      network: that they are of.
      path: see `load_pretrained`.
      part: what the network is called in each collection of the variables; None where there is nothing beside it.

    Raises:
      UserError: see `load_pretrained`.
    """
    shapes = jax.eval_shape(init, jax.random.key(0))
    blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    collections = {name: group if part is None else group[part] for name, group in blank.items() if part is None or part in group}
    loaded = load_pretrained(collections, network, path)

    def pretrained(key: Array) -> PyTree:
        variables = init(key)
        merged = {}
        for name, group in variables.items():
            chosen = {top: leaves for top, leaves in loaded.get(name, {}).items() if network.in_backbone(top)}
            merged[name] = {**group, **chosen} if part is None else {**group, **_inside(group, part, chosen)}
        return merged

    return pretrained


def _inside(group: PyTree, part: str, chosen: PyTree) -> PyTree:
    return {part: {**group[part], **chosen}} if part in group else {}


def backbone_mask(params: PyTree) -> PyTree:
    """Which parameters, or running statistics, belong to the backbone of the network that has classifiers beside it.

    A pytree of bool; the network is the part `network`.
    """
    classes = {name: False for name in params if name != NETWORK}
    return {**classes, NETWORK: network_backbone_mask(params[NETWORK])}


def network_backbone_mask(params: PyTree) -> PyTree:
    """Which parameters, or running statistics, of a network belong to its backbone: a pytree of bool."""

    def of_part(name: str, part: PyTree) -> PyTree:
        return jax.tree.map(lambda _: Pretrainable.in_backbone(name), part)

    return {name: of_part(name, part) for name, part in params.items()}
