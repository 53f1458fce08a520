"""How losses of AutoLoss-Zero change: its mutations (Section 3.2, Figures 2 and 3), and what the paper does not have."""

import numpy as np

from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.graphs.trees import (
    ROOT,
    Tree,
    Vocabulary,
    crossed,
    delete,
    from_graph,
    insert,
    mutated,
    places,
    random_tree,
    replace,
    to_graph,
)
from jaxloss.systems.autoloss_zero.factors import takes_factor

MUTATIONS = (insert, delete, replace)


def mutate(generator: np.random.Generator, vocabulary: Vocabulary, graph: Graph, num_mutations: int) -> Graph:
    """So many of `MUTATIONS`, one after the other, see `graphs.trees.mutated`."""
    return mutated(generator, vocabulary, graph, num_mutations, MUTATIONS)


def with_term(generator: np.random.Generator, vocabulary: Vocabulary, graph: Graph, depth: int) -> Graph:
    """The sum of a graph and a random tree of at most so many operators on each path, which the paper does not have.

    Such a term need not be a loss: one that reads statistics of the batch alone passes no filter, but may be worth much in a sum.
    """
    term = from_graph(random_tree(generator, vocabulary, int(generator.integers(1, depth + 1))))
    return to_graph(Tree(Node("Add"), [from_graph(graph), term]))


def with_factor(generator: np.random.Generator, graph: Graph) -> Graph:
    """A graph with one number changed, which the paper does not have: a constant of it, or a factor where one changes the loss.

    Numbers are multiplied by `2^z`, `z` standard normal, and keep two digits. Without a place for a number, the graph itself.
    """
    root = Tree(ROOT, [from_graph(graph)])
    sites = [(parent, side) for parent, side in places(root) if takes_factor(parent.node.name, side)]
    sites += [(parent, side) for parent, side in places(root) if parent.children[side].node.is_constant and parent is not root]
    if not sites:
        return graph
    parent, side = sites[generator.integers(len(sites))]
    changed = 2.0 ** generator.normal()
    child = parent.children[side]
    if child.node.name == "Mul" and child.children[0].node.is_constant:
        parent, side, child = child, 0, child.children[0]
    if child.node.is_constant:
        parent.children[side] = Tree(constant(float(f"{changed * child.node.value:.2g}")))
    else:
        parent.children[side] = Tree(Node("Mul"), [Tree(constant(float(f"{changed:.2g}"))), child])
    return to_graph(root.children[0])


def joined(generator: np.random.Generator, first: Graph, second: Graph) -> Graph:
    """A child of two trees, which the paper does not have: their sum, or the first with a part of the second, equally likely."""
    if generator.random() < 0.5:
        return to_graph(Tree(Node("Add"), [from_graph(first), from_graph(second)]))
    return crossed(generator, first, second)
