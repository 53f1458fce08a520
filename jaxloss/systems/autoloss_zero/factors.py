"""Numbers inside a formula that a comparison tunes, where a hand-crafted rival has its `q`, gamma or margin.

A factor of the whole loss is the learning rate once more. What changes a loss is a factor on one side of a sum, and one on what
goes into an operator that is not homogeneous (`exp(c x)` is no multiple of `exp(x)`). A factor is a node `Mul(c, x)`: a tuned
loss is a formula of the space like any other. The paper has no such numbers.
"""

from collections.abc import Mapping

from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.graphs.program import Layout, fits

_PREFIX = "factor_"
# Of these, f(c x) is no multiple of f(x).
_NOT_HOMOGENEOUS = frozenset({"Exp", "Tanh"})


def factor_names(most: int) -> tuple[str, ...]:
    """What factors are called, from the output inwards."""
    return tuple(f"{_PREFIX}{number}" for number in range(1, most + 1))


def factors(graph: Graph, layout: Layout, most: int) -> dict[str, float]:
    """Name -> 1.0 for each place in which a factor would change the loss, from the output inwards.

    Args:
      graph: as the search found it.
      layout: that it has to fit with all its factors.
      most: factors.
    """
    for count in range(min(most, len(_places(graph))), 0, -1):
        # Numbers that differ from each other and from any in the graph take the most room.
        distinct = {name: 1.5 + index / 64 for index, name in enumerate(factor_names(count))}
        if fits(with_factors(graph, distinct), layout):
            return dict.fromkeys(distinct, 1.0)
    return {}


def with_factors(graph: Graph, values: Mapping[str, float]) -> Graph:
    """The graph with the factors, in the order of their names, in its places; one of exactly 1 leaves no trace."""
    chosen = dict(zip(_places(graph), values.values(), strict=False))
    nodes: list[Node] = []
    position: list[int] = []
    for index, node in enumerate(graph.nodes):
        operands = []
        for side, operand in enumerate(node.operands):
            place, value = position[operand], chosen.get((index, side), 1.0)
            if value != 1.0:
                nodes += [constant(value), Node("Mul", (len(nodes), place))]
                place = len(nodes) - 1
            operands.append(place)
        nodes.append(Node(node.name, tuple(operands), node.value))
        position.append(len(nodes) - 1)
    return Graph.build(nodes)


def _places(graph: Graph) -> list[tuple[int, int]]:
    """`(node, which of its operands)`, those nearest to the output first."""
    depths, sides = _depths(graph), {"Add": 1, **dict.fromkeys(_NOT_HOMOGENEOUS, 0)}
    places = [(index, sides[node.name]) for index, node in enumerate(graph.nodes) if node.name in sides]
    return sorted(places, key=lambda place: (depths[place[0]], place[0]))


def _depths(graph: Graph) -> list[int]:
    """Operators between each node and the output."""
    depths = [0] * len(graph.nodes)
    for index in reversed(range(len(graph.nodes))):
        for operand in graph.nodes[index].operands:
            depths[operand] = max(depths[operand], depths[index] + 1)
    return depths
