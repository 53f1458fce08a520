"""Graphs that are left when a part of a graph is taken out, or gives way to something simpler."""

from collections.abc import Iterator

from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.graphs.program import Layout, fits

_ONE = 1.0
# More than a reader looks at.
_MOST_DIGITS = 3


def smaller_graphs(graph: Graph, layout: Layout) -> list[Graph]:
    """All graphs in which one operator has given way to something simpler, the smallest first; each of them once.

    In place of an operator stands anything that it is computed from (so a sum loses a term, and a pooling leaves what it pooled),
    an input, 1, or a number that the graph holds already; in place of a number it stands rounded, to one digit or more.

    Args:
      graph: to be made smaller.
      layout: that they fit.

    Returns:
      Graphs of fewer nodes, counted as `Graph.tree_size` does, or of as many with a shorter number.
    """
    found = {one.key(layout.operators): one for one in _replaced(graph, layout) if fits(one, layout)}
    smaller = [one for one in found.values() if _size(one) < _size(graph)]
    return sorted(smaller, key=lambda one: (*_size(one), str(one)))


def _size(graph: Graph) -> tuple[int, int]:
    return graph.tree_size, len(str(graph))


def _replaced(graph: Graph, layout: Layout) -> Iterator[Graph]:
    numbers = {_ONE, *(node.value for node in graph.nodes if node.is_constant)}
    leaves = [Node(name) for name in layout.inputs] + [constant(value) for value in sorted(numbers)]
    for index, node in enumerate(graph.nodes):
        for digits in range(1, _MOST_DIGITS + 1) if node.is_constant else ():
            yield Graph.build([*graph.nodes[:index], constant(float(f"{node.value:.{digits}g}")), *graph.nodes[index + 1 :]])
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
