"""Graphs that are left when a part of a graph is taken out, or gives way to something simpler."""

from collections.abc import Iterator

from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.graphs.program import Layout, fits

_ONE = 1.0


def smaller_graphs(graph: Graph, layout: Layout) -> list[Graph]:
    """All graphs in which one operator has given way to something simpler, the smallest first; each of them once.

    In place of an operator stands anything that it is computed from (so a sum loses a term, and a pooling leaves what it pooled),
    an input, 1, or a number that the graph holds already.

    Args:
      graph: to be made smaller.
      layout: that they fit.

    Returns:
      Graphs of fewer nodes, counted as `Graph.tree_size` does.
    """
    found = {one.key(layout.operators): one for one in _replaced(graph, layout) if fits(one, layout)}
    smaller = [one for one in found.values() if one.tree_size < graph.tree_size]
    return sorted(smaller, key=lambda one: (one.tree_size, len(str(one)), str(one)))


def _replaced(graph: Graph, layout: Layout) -> Iterator[Graph]:
    numbers = {_ONE, *(node.value for node in graph.nodes if node.is_constant)}
    leaves = [Node(name) for name in layout.inputs] + [constant(value) for value in sorted(numbers)]
    for index, below in enumerate(_all_below(graph)):
        if graph.nodes[index].is_operator:
            for node in (*(graph.nodes[i] for i in sorted(below)), *leaves):
                yield Graph.build([*graph.nodes[:index], node, *graph.nodes[index + 1 :]])


def _all_below(graph: Graph) -> list[set[int]]:
    """For each node, all nodes that it is computed from."""
    below: list[set[int]] = []
    for node in graph.nodes:
        below.append(set(node.operands).union(*(below[i] for i in node.operands)))
    return below
