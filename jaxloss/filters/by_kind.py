"""Two programs for two kinds of graphs: those without aggregation do not pay for pooling."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from jaxloss.graphs.graph import Graph
from jaxloss.graphs.program import Layout


class GraphCall(Protocol):
    """A jitted call for many graphs: `(graphs) -> columns`, and how often it was compiled."""

    compilations: int

    def __call__(self, graphs: Sequence[Graph]) -> dict[str, np.ndarray]: ...


class ByKind:
    """A `GraphCall` that is made of two."""

    def __init__(self, layout: Layout, make: Callable[[Layout], GraphCall]):
        """Args:
        layout: of all graphs.
        make: makes the call for a layout.
        """
        self._elementwise = layout.operators.elementwise
        self._calls = {True: make(dataclasses.replace(layout, operators=self._elementwise))}
        self._calls[False] = self._calls[True] if self._elementwise is layout.operators else make(layout)

    def __call__(self, graphs: Sequence[Graph]) -> dict[str, np.ndarray]:
        """As `GraphCall`."""
        names = self._elementwise.by_name
        kinds = [all(node.name in names for node in graph.nodes if node.is_operator) for graph in graphs]
        places = [np.flatnonzero(np.equal(kinds, kind)) for kind in (True, False)]
        parts = [
            self._calls[kind]([graphs[i] for i in rows]) for kind, rows in zip((True, False), places, strict=True) if len(rows)
        ]
        order = np.argsort(np.concatenate(places))
        return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}

    @property
    def compilations(self) -> int:
        """Of both calls together."""
        return sum(call.compilations for call in set(self._calls.values()))
