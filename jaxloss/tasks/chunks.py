"""Functions of many examples, computed in chunks of equal size, so that memory is bounded."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array, PyTree


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
    results = _scanned(lambda _, part, is_example: (None, function(part)), None, examples, most, unroll)[1]
    total = _length(examples)
    return jax.tree.map(lambda array: array.reshape(-1, *array.shape[2:])[:total], results)


def fold_chunks(
    function: Callable[[PyTree, PyTree, Array], PyTree], start: PyTree, examples: PyTree, most: int, unroll: bool = False
) -> PyTree:
    """A state that has seen all examples, chunk by chunk; jittable.

    Args:
      function: `(state, arrays [n, ...], is_example bool [n]) -> state`; what is no example fills the last chunk up.
      start: the state before the first chunk.
      examples: arrays `[M, ...]`; the last chunk is filled up with zeros.
      most: examples at once.
      unroll: see `map_chunks`.
    """
    return _scanned(lambda state, part, is_example: (function(state, part, is_example), None), start, examples, most, unroll)[0]


def _scanned(step: Callable[..., tuple[PyTree, PyTree]], start: PyTree, examples: PyTree, most: int, unroll: bool) -> PyTree:
    total = _length(examples)
    num_chunks = max(1, -(-total // most))
    size = -(-total // num_chunks)

    def chunked(array):
        padded = jnp.pad(array, [(0, num_chunks * size - total)] + [(0, 0)] * (array.ndim - 1))
        return padded.reshape(num_chunks, size, *array.shape[1:])

    parts = jax.tree.map(chunked, examples), (jnp.arange(num_chunks * size) < total).reshape(num_chunks, size)
    return jax.lax.scan(lambda state, part: step(state, *part), start, parts, unroll=num_chunks if unroll else 1)


def _length(examples: PyTree) -> int:
    return jax.tree.leaves(examples)[0].shape[0]
