"""How losses of AutoLoss-Zero change: its mutations (Section 3.2, Figures 2 and 3), and what the paper does not have."""

import numpy as np

from jaxloss.graphs.graph import Graph, Node
from jaxloss.graphs.trees import Tree, Vocabulary, delete, from_graph, insert, mutated, random_tree, replace, to_graph

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
