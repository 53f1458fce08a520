"""A function of many examples, computed in chunks of equal size, so that memory is bounded."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxloss.core.types import PyTree


def map_chunks(function: Callable[[PyTree], PyTree], examples: PyTree, most: int, unroll: bool = False) -> PyTree:
    """`function(examples)` for a function that treats every example alone; jittable.

    Args:
      function: of arrays `[n, ...]`, with results `[n, ...]`.
      examples: arrays `[M, ...]`; the last chunk is filled up with zeros.
      most: examples at once.
      unroll: the loop is written out, for convolutions that are slow inside a loop on a CPU.

    Returns:
      Arrays `[M, ...]`.
    """
    total = jax.tree.leaves(examples)[0].shape[0]
    num_chunks = max(1, -(-total // most))
    size = -(-total // num_chunks)

    def chunked(array):
        padded = jnp.pad(array, [(0, num_chunks * size - total)] + [(0, 0)] * (array.ndim - 1))
        return padded.reshape(num_chunks, size, *array.shape[1:])

    def step(_, part):
        return None, function(part)

    _, results = jax.lax.scan(step, None, jax.tree.map(chunked, examples), unroll=num_chunks if unroll else 1)
    return jax.tree.map(lambda array: array.reshape(num_chunks * size, *array.shape[2:])[:total], results)
