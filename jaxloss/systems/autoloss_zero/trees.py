"""The mutations of AutoLoss-Zero's trees, as the paper describes them (Section 3.2, Figures 2 and 3), and crossover beside them.

The trees themselves, with insertion, deletion and replacement, are in `graphs.trees`.
"""

import numpy as np

from jaxloss.graphs.graph import Graph, Node
from jaxloss.graphs.trees import (
    ROOT,
    Tree,
    Vocabulary,
    delete,
    from_graph,
    insert,
    leaves_of,
    places,
    random_tree,
    replace,
    to_graph,
)


def with_term(generator: np.random.Generator, vocabulary: Vocabulary, graph: Graph, depth: int) -> Graph:
    """The sum of a graph and a random tree of at most so many operators on each path, which the paper does not have.

    Such a term need not be a loss: one that reads statistics of the batch alone passes no filter, but may be worth much in a sum.
    """
    term = from_graph(random_tree(generator, vocabulary, int(generator.integers(1, depth + 1))))
    return to_graph(Tree(Node("Add"), [from_graph(graph), term]))


def crossed(generator: np.random.Generator, first: Graph, second: Graph) -> Graph:
    """A child of two trees, which the paper does not have: their sum, or the first with a part of the second, equally likely."""
    if generator.random() < 0.5:
        return to_graph(Tree(Node("Add"), [from_graph(first), from_graph(second)]))
    root, giver = Tree(ROOT, [from_graph(first)]), Tree(ROOT, [from_graph(second)])
    sites, parts = places(root), places(giver)
    parent, index = sites[generator.integers(len(sites))]
    source, part = parts[generator.integers(len(parts))]
    parent.children[index] = source.children[part]
    return to_graph(root.children[0])


# Each is `(generator, vocabulary, root) -> whether it took place`.
MUTATIONS = (insert, delete, replace)


def mutate(generator: np.random.Generator, vocabulary: Vocabulary, graph: Graph, num_mutations: int) -> Graph:
    """Applies mutations drawn uniformly from `MUTATIONS`, one after the other; another one where it is not possible."""
    root = Tree(ROOT, [from_graph(graph)])
    done = 0
    while done < num_mutations:
        done += MUTATIONS[generator.integers(len(MUTATIONS))](generator, vocabulary, root)
    return to_graph(root.children[0])


__all__ = [
    "MUTATIONS",
    "ROOT",
    "Tree",
    "Vocabulary",
    "crossed",
    "delete",
    "from_graph",
    "insert",
    "leaves_of",
    "mutate",
    "random_tree",
    "replace",
    "to_graph",
    "with_term",
]
