"""A graph as a plain, unrolled, pure JAX function: for full-size training, export and reading."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array, LossInputs
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.interpret import input_tensor
from jaxloss.graphs.operators.operator import Neighbourhood, OperatorSet


def compile_graph(graph: Graph, operators: OperatorSet) -> Callable[..., Array]:
    """Returns `loss(inputs, axis_name=None)`, the unreduced loss of the graph.

    The result has shape `[N, H, W, C]`, or `[N, H, W, 1]` where the graph yields one value per sample. It agrees with
    `interpret` in value and gradient, and takes forward-mode differentiation too.
    """
    graph = graph.merged()

    def loss(inputs: LossInputs, axis_name: str | None = None) -> Array:
        neighbourhood = Neighbourhood(inputs.mask, axis_name)
        some_input = next(iter(inputs.arrays.values()))
        positions = (*some_input.shape[:-1], 1)
        results: list[Array] = []
        for node in graph.nodes:
            if node.is_constant:
                result = jnp.full(positions, node.value, some_input.dtype)
            elif node.is_input:
                result = input_tensor(inputs, node.name)
            else:
                result = operators[node.name](tuple(results[i] for i in node.operands), neighbourhood)
                # Otherwise XLA computes log(exp(x)) as x and exp(x) * exp(y) as exp(x + y): finite where the operators
                # overflow, so that what was searched is not what is trained.
                result = lax.optimization_barrier(result)
            results.append(result)
        return results[-1]

    return loss
