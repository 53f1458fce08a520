"""Random computational graphs over one input and some constants, and their mutations (AutoLoss-GMS, supplement, B and C).

The output is the sum of all nodes that nothing else reads (Algorithm 1 joins them without saying how). In a `Graph` that sum is
a chain of Adds at the end; it is taken apart again before a mutation, and does not count as operators.
"""

import dataclasses

import numpy as np

from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.graphs.operators.operator import Operator

PAIRS, OPERATORS = "pairs", "operators"
SAMPLINGS = (PAIRS, OPERATORS)


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """What graphs are made of.

    Attributes:
      operators: `H`.
      input_name: of the one input.
      constants: `Cons`, the values that constants begin with.
      num_constants: `n_c`, in one graph.
      max_operators: `n_o`, in one graph.
      sampling: `pairs`, each pair of an operator and its operands is equally likely (the letter of Algorithm 1: there are more
        such pairs for operators of two operands), or `operators`, each operator is.
    """

    operators: tuple[Operator, ...]
    input_name: str
    constants: tuple[float, ...]
    num_constants: int
    max_operators: int
    sampling: str = PAIRS

    def draw_operator(self, generator: np.random.Generator) -> Operator:
        """One of the operators, all with the same probability."""
        return self.operators[generator.integers(len(self.operators))]

    def draw_constant(self, generator: np.random.Generator) -> Node:
        """One of the constants, all with the same probability."""
        return constant(self.constants[generator.integers(len(self.constants))])


@dataclasses.dataclass
class Draft:
    """A graph that is being changed.

    Attributes:
      nodes: in topological order: the input, the constants, then operators; operands are positions in the list.
      terms: the nodes whose sum is the output.
    """

    nodes: list[Node]
    terms: list[int]

    @property
    def operators(self) -> list[int]:
        """Positions of the operators."""
        return [index for index, node in enumerate(self.nodes) if node.is_operator]

    @property
    def constants(self) -> list[int]:
        """Positions of the constants."""
        return [index for index, node in enumerate(self.nodes) if node.is_constant]

    def to_graph(self) -> Graph:
        """With the sum written out as Adds; what the output does not need is left out."""
        nodes = list(self.nodes)
        output = self.terms[0]
        for term in self.terms[1:]:
            nodes.append(Node("Add", (output, term)))
            output = len(nodes) - 1
        return Graph.build(nodes, output)


def from_graph(generator: np.random.Generator, vocabulary: Vocabulary, graph: Graph) -> Draft:
    """The graph as a draft: one node for each different constant, and fresh ones where it has fewer than `n_c`."""
    values = list(dict.fromkeys(node.value for node in graph.nodes if node.is_constant))
    leaves = [Node(vocabulary.input_name), *map(constant, values)]
    leaves += [vocabulary.draw_constant(generator) for _ in range(vocabulary.num_constants - len(values))]
    nodes, position = leaves, {}
    sums, terms = _sum_at_the_end(graph)
    for index, node in enumerate(graph.nodes):
        if index in sums:
            continue
        if node.is_operator:
            position[index] = len(nodes)
            nodes.append(Node(node.name, tuple([position[i] for i in node.operands])))
        else:
            position[index] = 0 if node.is_input else 1 + values.index(node.value)
    return Draft(nodes, [position[index] for index in terms])


def _sum_at_the_end(graph: Graph) -> tuple[set[int], list[int]]:
    """The Adds at the end of a graph that nothing else reads, and what they add up."""
    uses = np.bincount([operand for node in graph.nodes for operand in node.operands], minlength=len(graph.nodes))
    sums: set[int] = set()
    terms: list[int] = []
    stack = [len(graph.nodes) - 1]
    while stack:
        index = stack.pop()
        if graph.nodes[index].name == "Add" and uses[index] <= 1:
            sums.add(index)
            stack.extend(reversed(graph.nodes[index].operands))
        else:
            terms.append(index)
    return sums, terms


def random_graph(generator: np.random.Generator, vocabulary: Vocabulary) -> Graph:
    """Algorithm 1: `n_c` constants, `n_o` operators one after the other on any earlier nodes; the sum of what is left over."""
    nodes = [Node(vocabulary.input_name)] + [vocabulary.draw_constant(generator) for _ in range(vocabulary.num_constants)]
    used: set[int] = set()
    for _ in range(vocabulary.max_operators):
        operator = _draw_weighted(generator, vocabulary, len(nodes))
        operands = tuple(int(i) for i in generator.integers(len(nodes), size=operator.arity))
        nodes.append(Node(operator.name, operands))
        used.update(operands)
    return Draft(nodes, [index for index in range(len(nodes)) if index not in used]).to_graph()


def _draw_weighted(generator: np.random.Generator, vocabulary: Vocabulary, num_nodes: int) -> Operator:
    if vocabulary.sampling == OPERATORS:
        return vocabulary.draw_operator(generator)
    weights = np.array([num_nodes**operator.arity for operator in vocabulary.operators], float)
    return vocabulary.operators[generator.choice(len(weights), p=weights / weights.sum())]


# --- mutations: each changes the draft, or returns False where it is not valid -------------------------------------------------


def insert(generator: np.random.Generator, vocabulary: Vocabulary, draft: Draft) -> bool:
    """Puts a random operator between a node (an operator, or the output) and one of its operands.

    A second operand is any node before it. Not valid where there are `n_o` operators already.
    """
    if len(draft.operators) >= vocabulary.max_operators:
        return False
    readers = [*draft.operators, len(draft.nodes)]  # the output is behind all nodes
    reader = readers[generator.integers(len(readers))]
    of_output = reader == len(draft.nodes)
    operands = list(draft.terms) if of_output else list(draft.nodes[reader].operands)
    place = generator.integers(len(operands))
    operator = vocabulary.draw_operator(generator)
    inserted = _with_second(generator, operator, (operands[place],), reader)
    draft.nodes.insert(reader, Node(operator.name, inserted))
    _shift(draft, reader)
    operands = [i + (i >= reader) for i in operands]
    operands[place] = reader
    if of_output:
        draft.terms = operands
    else:
        draft.nodes[reader + 1] = Node(draft.nodes[reader + 1].name, tuple(operands))
    return True


def delete(generator: np.random.Generator, vocabulary: Vocabulary, draft: Draft) -> bool:
    """Removes a random operator; one of its operands, at random, takes its place. Not valid where there is no operator."""
    del vocabulary
    if not draft.operators:
        return False
    removed = draft.operators[generator.integers(len(draft.operators))]
    operands = draft.nodes[removed].operands
    heir = operands[generator.integers(len(operands))]
    # The removed node stays in the list, unread; `to_graph` leaves it out.
    draft.nodes = [
        Node(node.name, tuple([heir if i == removed else i for i in node.operands]), node.value) for node in draft.nodes
    ]
    draft.terms = [heir if i == removed else i for i in draft.terms]
    _drop_unread(draft)
    return True


def replace(generator: np.random.Generator, vocabulary: Vocabulary, draft: Draft) -> bool:
    """Puts another operator in the place of a random one; keeps its operands, one of them, or adds any node before it."""
    if not draft.operators:
        return False
    index = draft.operators[generator.integers(len(draft.operators))]
    operator = vocabulary.draw_operator(generator)
    operands = draft.nodes[index].operands
    if operator.arity < len(operands):
        operands = (operands[generator.integers(len(operands))],)
    draft.nodes[index] = Node(operator.name, _with_second(generator, operator, operands, index))
    _drop_unread(draft)
    return True


def _with_second(generator: np.random.Generator, operator: Operator, operands: tuple[int, ...], before: int) -> tuple[int, ...]:
    """The operands, with a random earlier node beside a single one where two are needed, on either side."""
    if operator.arity == len(operands):
        return operands
    pair = [operands[0], int(generator.integers(before))]
    return tuple(pair if generator.integers(2) else reversed(pair))


def _shift(draft: Draft, inserted: int) -> None:
    """Renumbers what reads the nodes behind an inserted one; the terms are left to the caller where they change."""
    draft.nodes = [
        node if index <= inserted else Node(node.name, tuple([i + (i >= inserted) for i in node.operands]), node.value)
        for index, node in enumerate(draft.nodes)
    ]
    draft.terms = [i + (i >= inserted) for i in draft.terms]


def _drop_unread(draft: Draft) -> None:
    """Takes operators out that the output no longer needs: they would count, and later nodes could read them."""
    needed, stack = set(), list(draft.terms)
    while stack:
        index = stack.pop()
        if index not in needed:
            needed.add(index)
            stack.extend(draft.nodes[index].operands)
    kept = [index for index, node in enumerate(draft.nodes) if index in needed or not node.is_operator]
    position = {index: place for place, index in enumerate(kept)}
    draft.nodes = [
        Node(node.name, tuple([position[i] for i in node.operands]), node.value) for node in (draft.nodes[i] for i in kept)
    ]
    draft.terms = [position[i] for i in draft.terms]


# Each is `(generator, vocabulary, draft) -> whether it took place`.
MUTATIONS = (insert, delete, replace)


def mutate_structure(generator: np.random.Generator, vocabulary: Vocabulary, draft: Draft) -> None:
    """One mutation drawn uniformly from `MUTATIONS`; another one where it is not valid."""
    while not MUTATIONS[generator.integers(len(MUTATIONS))](generator, vocabulary, draft):
        pass
