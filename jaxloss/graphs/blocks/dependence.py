"""Which outputs of a traced function depend on which of its inputs."""

from collections.abc import Callable

import jax
import numpy as np

from jaxloss.core.types import PyTree


def dependence(function: Callable[..., PyTree], *arguments: PyTree) -> np.ndarray:
    """Traces a function and follows its equations.

    Args:
      function: jittable.
      arguments: arrays or shapes; nothing is computed.

    Returns:
      bool `[outputs, inputs]` over the leaves of both; False is certain, True may be cautious.
    """
    jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    sources = {variable: frozenset([index]) for index, variable in enumerate(jaxpr.invars)}

    def of(atom) -> frozenset[int]:
        return frozenset() if hasattr(atom, "val") else sources.get(atom, frozenset())

    for equation in jaxpr.eqns:
        together = frozenset().union(*(of(atom) for atom in equation.invars))
        sources |= dict.fromkeys(equation.outvars, together)
    found = np.zeros((len(jaxpr.outvars), len(jaxpr.invars)), bool)
    for row, atom in enumerate(jaxpr.outvars):
        found[row, list(of(atom))] = True
    return found


def identities(function: Callable[..., PyTree], *arguments: PyTree) -> np.ndarray:
    """For each output leaf of a traced function the input leaf that it is, unchanged, or -1: int `[outputs]`."""
    jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    return np.array([jaxpr.invars.index(atom) if atom in jaxpr.invars else -1 for atom in jaxpr.outvars])
