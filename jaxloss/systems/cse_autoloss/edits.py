"""How losses of CSE-Autoloss change from generation to generation: crossover, insertion, removal, replacement.

The paper says that individuals cross over pair by pair with a probability p_1 and mutate with a probability p_2, in DEAP; which
of DEAP's operators, it does not say. Here: one-point crossover of trees; insertion and removal of an operator; a node that gives
way to another one of as many operands; a node that gives way to a fresh random part.
"""

import numpy as np

from jaxloss.graphs.graph import Graph, Node
from jaxloss.graphs.trees import Tree, Vocabulary, delete, from_graph, insert, mutated, places, random_tree

# The most operators on a path of a fresh part.
_PART_DEPTH = 2


def replace(generator: np.random.Generator, vocabulary: Vocabulary, root: Tree) -> bool:
    """Puts another operator of as many operands in the place of a random node, or another input in that of a leaf."""
    sites = places(root)
    parent, index = sites[generator.integers(len(sites))]
    child = parent.children[index]
    if child.children:
        names = [operator.name for operator in vocabulary.operators if operator.arity == len(child.children)]
        others = [Node(name) for name in names if name != child.node.name]
    else:
        others = [leaf for leaf in vocabulary.leaves if leaf != child.node]
    if not others:
        return False
    parent.children[index] = Tree(others[generator.integers(len(others))], child.children)
    return True


def regrow(generator: np.random.Generator, vocabulary: Vocabulary, root: Tree) -> bool:
    """Puts a fresh random part in the place of a random node."""
    sites = places(root)
    parent, index = sites[generator.integers(len(sites))]
    part = random_tree(generator, vocabulary, int(generator.integers(1, _PART_DEPTH, endpoint=True)))
    parent.children[index] = from_graph(part)
    return True


MUTATIONS = (insert, delete, replace, regrow)


def mutate(generator: np.random.Generator, vocabulary: Vocabulary, graph: Graph, num_mutations: int) -> Graph:
    """So many of `MUTATIONS`, one after the other, see `graphs.trees.mutated`."""
    return mutated(generator, vocabulary, graph, num_mutations, MUTATIONS)
