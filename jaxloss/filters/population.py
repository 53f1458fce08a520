"""Runs one program-level function over a population in one jitted call of fixed width."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.graph import Graph, Node
from jaxloss.core.program import POPULATION_AXES, Layout, Program, encode
from jaxloss.core.types import Array, PyTree

VMAP, LOOP, AUTO = "vmap", "loop", "auto"
BATCHINGS = (AUTO, VMAP, LOOP)


def resolve_batching(batching: str) -> str:
    """`auto` is a loop with a real branch on the CPU, where a batched switch runs every operator, and `vmap` elsewhere."""
    if batching != AUTO:
        return batching
    return LOOP if jax.default_backend() == "cpu" else VMAP


@dataclasses.dataclass
class PopulationFunction:
    """`function(program, active) -> pytree of scalars and vectors`, for any number of programs.

    The width of a call is fixed and short lists are padded, so that there is one compilation however many candidates come.

    Attributes:
      function: pure, for one program; `active` is False for padding, where it may return at once.
      width: programs per call.
      batching: `vmap` or `loop`.
      workers: runs the calls of a long list side by side, or None.
    """

    function: Callable[[Program, Array], PyTree]
    width: int
    batching: str
    workers: Executor | None = None
    compilations: int = 0

    @functools.cached_property
    def _compiled(self):
        def run(programs: Program, active: Array) -> PyTree:
            self.compilations += 1  # counted while tracing: once per compilation
            if self.batching == VMAP:
                return jax.vmap(self.function, in_axes=(POPULATION_AXES, 0))(programs, active)
            lengths = jnp.sum(programs.opcodes != 0, axis=1)
            rows = dataclasses.replace(programs, length=lengths)
            return jax.lax.map(lambda row: self.function(*row), (rows, active))

        return jax.jit(run)

    def __call__(self, programs: Sequence[Program], layout: Layout) -> PyTree:
        """Returns the results as NumPy arrays with a leading axis of `len(programs)`."""
        chunks = [programs[i : i + self.width] for i in range(0, len(programs), self.width)]
        run = self.workers.map if self.workers is not None and len(chunks) > 1 else map
        results = list(run(functools.partial(self._call, layout=layout), chunks))
        return jax.tree.map(lambda *parts: np.concatenate(parts), *results)

    def _call(self, programs: Sequence[Program], layout: Layout) -> PyTree:
        padding = self.width - len(programs)
        stacked = jax.tree.map(lambda *rows: np.stack(rows), *programs, *[_blank(layout)] * padding)
        stacked = dataclasses.replace(stacked, length=np.int32(stacked.length.max()))
        active = np.arange(self.width) < len(programs)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(programs)], self._compiled(stacked, active))


@functools.cache
def _blank(layout: Layout) -> Program:
    return encode(Graph((Node(layout.inputs[0]),)), layout)
