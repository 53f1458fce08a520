"""The part of a network that came trained: its weights from a file, and which parameters it has.

The network is the part `network` of the variables, as in `models.cosine.CosineClassifiers`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.models.embeddings import EmbeddingNetwork
from jaxloss.tasks.models.pretrained import load_pretrained


def with_pretrained(init: Callable[[Array], PyTree], network: EmbeddingNetwork, path: str) -> Callable[[Array], PyTree]:
    """`init` with the weights of a file in the network; they are read once."""
    shapes = jax.eval_shape(init, jax.random.key(0))
    blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    collections = {name: group["network"] for name, group in blank.items() if "network" in group}
    loaded = load_pretrained(collections, network, path)

    def pretrained(key: Array) -> PyTree:
        variables = init(key)
        merged = {}
        for name, group in variables.items():
            merged[name] = dict(group)
            if name in loaded:
                chosen = {part: loaded[name][part] for part in loaded[name] if network.in_backbone(part)}
                merged[name]["network"] = {**group["network"], **chosen}
        return merged

    return pretrained


def backbone_mask(params: PyTree) -> PyTree:
    """Which parameters, or running statistics, belong to the backbone of the network: a pytree of bool."""

    def of_part(name: str, part: PyTree) -> PyTree:
        return jax.tree.map(lambda _: name.startswith("backbone"), part)

    classes = {name: False for name in params if name != "network"}
    return {**classes, "network": {name: of_part(name, part) for name, part in params["network"].items()}}
