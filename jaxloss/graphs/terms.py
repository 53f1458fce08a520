"""The top-level terms of a graph, and what is left of it without each."""

from jaxloss.graphs.graph import Graph, Node
from jaxloss.graphs.program import Layout, fits


def without_terms(graph: Graph, layout: Layout) -> dict[str, Graph]:
    """The graphs that are left when one top-level term is dropped.

    Terms are the operands of the first operator, seen from the output, that has more than one: the summands of a sum, the factors
    of a product. Operands that are the same commutative operator count with their own (`Add(Add(a, b), c)` has three terms), and
    operators of one operand above them stay (`Exp(Add(a, b))` leaves `Exp(b)` and `Exp(a)`).

    Args:
      graph: the loss.
      layout: that it fits. What shares nodes may outgrow it once its terms stand side by side: such a term has no entry.

    Returns:
      Text of the term -> the graph without it, in the order in which the formula has them; empty for a loss of one term.
    """
    top = len(graph.nodes) - 1
    while len(graph.nodes[top].operands) == 1:
        (top,) = graph.nodes[top].operands
    node = graph.nodes[top]
    if not node.is_operator:
        return {}
    terms = _terms(graph, top, layout.operators[node.name].commutative)
    found = {}
    for place, term in enumerate(terms):
        text = str(Graph.build(graph.nodes, term))
        if text not in found:
            found[text] = _rebuilt(graph, top, terms[:place] + terms[place + 1 :])
    return {text: left for text, left in found.items() if fits(left, layout)}


def _terms(graph: Graph, index: int, is_chain: bool) -> list[int]:
    """The operands of a node; in place of those that are the same operator, their own."""
    name, found = graph.nodes[index].name, []
    for operand in graph.nodes[index].operands:
        same = is_chain and graph.nodes[operand].name == name
        found += _terms(graph, operand, is_chain) if same else [operand]
    return found


def _rebuilt(graph: Graph, top: int, terms: list[int]) -> Graph:
    """The graph with the terms that are left in the place of the node `top`."""
    name, nodes, left = graph.nodes[top].name, list(graph.nodes[:top]), terms[0]
    for term in terms[1:]:
        nodes.append(Node(name, (left, term)))
        left = len(nodes) - 1
    for above in graph.nodes[top + 1 :]:
        # Between the node and the output there are operators of one operand alone: each reads the one before it.
        nodes.append(Node(above.name, (left,), above.value))
        left = len(nodes) - 1
    return Graph.build(nodes, left)
