"""An NNX module as pure functions: split into plain arrays, and merged whenever it is called."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.models.network import Network, Variables

# Where the state of a module lies in its variables: its parameters, the statistics of BatchNorm, and whatever else it keeps.
_PARAMETERS, _STATISTICS, _OTHERS = "params", "batch_stats", "others"


def nnx_network(make: Callable[[nnx.Rngs], nnx.Module]) -> Network:
    """An NNX module that is called with images, and knows by `train()` and `eval()` what it does in which mode.

    Its random numbers (of Dropout) are no part of the variables: every training step draws them from its own key.

    Args:
      make: makes the module; the shapes of its parameters do not depend on the random numbers.
    """
    definition, *states = _split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    *kept, random_state = states

    def merged(variables: Variables, key: Array) -> nnx.Module:
        # Copies: what is filled in belongs to one call.
        filled = [jax.tree.map(lambda leaf: leaf, state) for state in kept]
        for name, state in zip((_PARAMETERS, _STATISTICS, _OTHERS), filled, strict=True):
            nnx.replace_by_pure_dict(state, variables.get(name, {}))
        return nnx.merge(definition, *filled, _random(random_state, key))

    def init(key: Array, images: Array) -> Variables:
        del images
        return _variables(make(nnx.Rngs(key)))

    def predict(variables: Variables, images: Array) -> Array:
        model = merged(variables, jax.random.key(0))
        model.eval()
        return model(images)

    def train(variables: Variables, images: Array, key: Array) -> tuple[Array, Variables]:
        model = merged(variables, key)
        model.train()
        logits = model(images)
        return logits, _variables(model)

    return Network(init, predict, train)


def _split(model: nnx.Module) -> tuple[nnx.GraphDef, nnx.State, nnx.State, nnx.State, nnx.State]:
    """Definition, parameters, statistics, others and random numbers."""
    definition, parameters, statistics, random_state, others = nnx.split(model, nnx.Param, nnx.BatchStat, nnx.RngState, ...)
    return definition, parameters, statistics, others, random_state


def _variables(model: nnx.Module) -> Variables:
    _, *kept, _ = _split(model)
    pure = {name: nnx.to_pure_dict(state) for name, state in zip((_PARAMETERS, _STATISTICS, _OTHERS), kept, strict=True)}
    return {name: state for name, state in pure.items() if state or name == _PARAMETERS}


def _random(state: PyTree, key: Array) -> PyTree:
    """Fresh keys in the place of all keys of a state, counters at 0."""
    leaves, structure = jax.tree.flatten(state)
    fresh = [
        jax.random.split(jax.random.fold_in(key, index), leaf.shape)
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        else jnp.zeros(leaf.shape, leaf.dtype)
        for index, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, fresh)
