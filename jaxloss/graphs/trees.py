"""Loss graphs as trees that can be changed, random ones, and the edits that searches make of them.

A tree hangs from a root that is the output and computes nothing; it has one child. All other nodes are operators or inputs.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.graphs.operators.operator import Operator

ROOT = Node("root")


@dataclasses.dataclass
class Tree:
    """A mutable tree: a node (its `operands` are not used here) and its children."""

    node: Node
    children: list["Tree"] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """What trees are made of: operators, and leaves (inputs and constants), all equally likely."""

    operators: tuple[Operator, ...]
    leaves: tuple[Node, ...]

    def draw_operator(self, generator: np.random.Generator) -> Operator:
        """One of the operators, all with the same probability."""
        return self.operators[generator.integers(len(self.operators))]

    def draw_leaf(self, generator: np.random.Generator) -> Node:
        """One of the leaves, all with the same probability."""
        return self.leaves[generator.integers(len(self.leaves))]


# `(generator, vocabulary, root) -> whether it took place`.
Mutation = Callable[[np.random.Generator, Vocabulary, Tree], bool]


def leaves_of(inputs: Sequence[str], constants: Sequence[float] = (1.0,)) -> tuple[Node, ...]:
    """The inputs and the constants as leaf nodes."""
    return (*(Node(name) for name in inputs), *(constant(value) for value in constants))


def to_graph(tree: Tree) -> Graph:
    """The tree below the root as an immutable graph."""
    nodes: list[Node] = []

    def visit(tree: Tree) -> int:
        operands = tuple([visit(child) for child in tree.children])
        nodes.append(Node(tree.node.name, operands, tree.node.value))
        return len(nodes) - 1

    visit(tree)
    return Graph(tuple(nodes))


def from_graph(graph: Graph) -> Tree:
    """The graph as a tree; nodes that are used several times are repeated."""

    def visit(index: int) -> Tree:
        node = graph.nodes[index]
        return Tree(node, [visit(operand) for operand in node.operands])

    return visit(len(graph.nodes) - 1)


def random_tree(generator: np.random.Generator, vocabulary: Vocabulary, depth: int) -> Graph:
    """`depth` operators on each path, then an input.

    Made as a graph at once: of all that a search does on the host, drawing such trees takes longest.
    """
    nodes: list[Node] = []

    def draw(depth: int) -> int:
        if depth == 0:
            nodes.append(vocabulary.draw_leaf(generator))
        else:
            operator = vocabulary.draw_operator(generator)
            operands = [draw(depth - 1) for _ in range(operator.arity)]
            nodes.append(Node(operator.name, tuple(operands)))
        return len(nodes) - 1

    draw(depth)
    return Graph(tuple(nodes))


def places(root: Tree) -> list[tuple[Tree, int]]:
    """(parent, child index) of every node below the root."""
    found, stack = [], [root]
    while stack:
        parent = stack.pop()
        for index, child in enumerate(parent.children):
            found.append((parent, index))
            stack.append(child)
    return found


def insert(generator: np.random.Generator, vocabulary: Vocabulary, root: Tree) -> bool:
    """Puts a random operator between a random node and its parent; a second operand is a random input."""
    sites = places(root)
    parent, index = sites[generator.integers(len(sites))]
    operator = vocabulary.draw_operator(generator)
    children = [parent.children[index]] + [Tree(vocabulary.draw_leaf(generator)) for _ in range(operator.arity - 1)]
    parent.children[index] = Tree(Node(operator.name), children)
    return True


def delete(generator: np.random.Generator, vocabulary: Vocabulary, root: Tree) -> bool:
    """Removes a random operator; one of its children, at random, takes its place. False where there is no operator."""
    del vocabulary
    inner = [(parent, index) for parent, index in places(root) if parent.children[index].children]
    if not inner:
        return False
    parent, index = inner[generator.integers(len(inner))]
    children = parent.children[index].children
    parent.children[index] = children[generator.integers(len(children))]
    return True


def replace(generator: np.random.Generator, vocabulary: Vocabulary, root: Tree) -> bool:
    """Puts a random operator in the place of a random node; keeps a random subset of its children, or adds inputs."""
    sites = places(root)
    parent, index = sites[generator.integers(len(sites))]
    operator = vocabulary.draw_operator(generator)
    children = parent.children[index].children
    if len(children) > operator.arity:
        kept = sorted(generator.choice(len(children), operator.arity, replace=False))
        children = [children[i] for i in kept]
    children = children + [Tree(vocabulary.draw_leaf(generator)) for _ in range(operator.arity - len(children))]
    parent.children[index] = Tree(Node(operator.name), children)
    return True


def mutated(
    generator: np.random.Generator, vocabulary: Vocabulary, graph: Graph, num_mutations: int, mutations: Sequence[Mutation]
) -> Graph:
    """Applies so many mutations, drawn uniformly, one after the other; another one where one is not possible."""
    root = Tree(ROOT, [from_graph(graph)])
    done = 0
    while done < num_mutations:
        done += mutations[generator.integers(len(mutations))](generator, vocabulary, root)
    return to_graph(root.children[0])


def crossed(generator: np.random.Generator, first: Graph, second: Graph) -> Graph:
    """The first with a random part of the second in the place of a random part of its own."""
    root, giver = Tree(ROOT, [from_graph(first)]), Tree(ROOT, [from_graph(second)])
    sites, parts = places(root), places(giver)
    parent, index = sites[generator.integers(len(sites))]
    source, part = parts[generator.integers(len(parts))]
    parent.children[index] = source.children[part]
    return to_graph(root.children[0])
