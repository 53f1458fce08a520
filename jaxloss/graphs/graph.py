"""Loss graphs as immutable data, with a text form in the papers' function notation.

A graph is a list of nodes in topological order, the output last. A tree uses every node once; a directed acyclic graph may use a
node several times. A graph knows names, not functions: what `Log` means is decided by the operator set that it is used with.

The text form of a tree is `Neg(Mul(target, Log(prediction)))`. A node that is used more than once is named first:
`t1 = Exp(cosine); Mul(t1, Add(t1, 1))`. `graphs.formula` reads it.
"""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Sequence

from jaxloss.core.types import Granularity
from jaxloss.graphs.operators.operator import OperatorSet

CONSTANT = "const"


@dataclasses.dataclass(frozen=True)
class Node:
    """An operator with operands, an input (no operands), or a constant (`name == CONSTANT`, with a value)."""

    name: str
    operands: tuple[int, ...] = ()
    value: float | None = None

    @property
    def is_operator(self) -> bool:
        """Whether it computes something of its operands."""
        return bool(self.operands)

    @property
    def is_constant(self) -> bool:
        """Whether it is a number."""
        return self.name == CONSTANT

    @property
    def is_input(self) -> bool:
        """Whether it is an array that the loss is given."""
        return not self.operands and self.name != CONSTANT


def constant(value: float) -> Node:
    """A constant leaf. Negative zero becomes zero: the two are equal, but 1/x tells them apart."""
    return Node(CONSTANT, (), float(value) + 0.0)


@dataclasses.dataclass(frozen=True)
class Graph:
    """An immutable graph; the last node is the output, and every node serves it.

    Build one with `Graph.build`, which drops what the output does not need.
    """

    nodes: tuple[Node, ...]

    @classmethod
    def build(cls, nodes: Sequence[Node], output: int | None = None) -> "Graph":
        """Keeps the nodes that `output` (default: the last) depends on, in depth-first order, output last.

        The order depends on the structure alone, so equal structures are equal graphs.
        """
        output = len(nodes) - 1 if output is None else output
        ordered: list[Node] = []
        position: dict[int, int] = {}
        stack = [(output, False)]
        while stack:
            index, operands_done = stack.pop()
            if index in position:
                continue
            node = nodes[index]
            if operands_done or not node.operands:
                position[index] = len(ordered)
                ordered.append(Node(node.name, tuple([position[i] for i in node.operands]), node.value))
            else:
                stack.append((index, True))
                stack.extend((operand, False) for operand in reversed(node.operands))
        return cls(tuple(ordered))

    @functools.cached_property
    def num_operators(self) -> int:
        """How many of its nodes are operators."""
        return sum(node.is_operator for node in self.nodes)

    @functools.cached_property
    def depth(self) -> int:
        """Operators on the longest path from an input to the output."""
        depths: list[int] = []
        for node in self.nodes:
            depths.append(1 + max(depths[i] for i in node.operands) if node.operands else 0)
        return depths[-1]

    @functools.cached_property
    def tree_size(self) -> int:
        """Number of nodes when every use of a shared node is written out."""
        sizes: list[int] = []
        for node in self.nodes:
            sizes.append(1 + sum(sizes[i] for i in node.operands))
        return sizes[-1]

    @functools.cached_property
    def input_names(self) -> frozenset[str]:
        """The names of the inputs that it reads."""
        return frozenset(node.name for node in self.nodes if node.is_input)

    @functools.cached_property
    def _uses(self) -> tuple[int, ...]:
        uses = [0] * len(self.nodes)
        for node in self.nodes:
            for operand in node.operands:
                uses[operand] += 1
        return tuple(uses)

    def merged(self) -> "Graph":
        """The same function with equal sub-expressions computed once, operand order kept."""
        nodes: list[Node] = []
        seen: dict[tuple, int] = {}
        position: list[int] = []
        for node in self.nodes:
            operands = tuple([position[i] for i in node.operands])
            content = (node.name, operands, node.value)
            if content not in seen:
                seen[content] = len(nodes)
                nodes.append(Node(*content))
            position.append(seen[content])
        if len(nodes) == len(self.nodes):
            return self
        return Graph.build(nodes, position[-1])

    def key(self, operators: OperatorSet) -> str:
        """A canonical key: equal for graphs that differ only in the order of commutative operands or in sharing."""
        return self._digests(operators)[-1]

    def canonical(self, operators: OperatorSet) -> "Graph":
        """The one graph of all that share a key: commutative operands in a fixed order, equal parts computed once."""
        digests = self._digests(operators)
        ordered: list[Node] = []
        position: dict[str, int] = {}
        stack = [(len(self.nodes) - 1, False)]
        while stack:
            index, operands_done = stack.pop()
            if digests[index] in position:
                continue
            node, operands = self.nodes[index], self.nodes[index].operands
            if operands and operators.by_name[node.name].commutative:
                operands = sorted(operands, key=digests.__getitem__)
            if operands_done or not operands:
                position[digests[index]] = len(ordered)
                ordered.append(Node(node.name, tuple([position[digests[i]] for i in operands]), node.value))
            else:
                stack.append((index, True))
                stack.extend((operand, False) for operand in reversed(operands))
        return Graph(tuple(ordered))

    def _digests(self, operators: OperatorSet) -> list[str]:
        """A digest of every node, kept: a graph is asked for its key, then for its canonical form."""
        if operators not in self._known_digests:
            digests: list[str] = []
            for node in self.nodes:
                operands = [digests[i] for i in node.operands]
                if operands and operators.by_name[node.name].commutative:
                    operands.sort()
                content = f"{node.name}:{node.value!r}({','.join(operands)})"
                digests.append(hashlib.blake2b(content.encode(), digest_size=12).hexdigest())
            self._known_digests[operators] = digests
        return self._known_digests[operators]

    @functools.cached_property
    def _known_digests(self) -> dict[OperatorSet, list[str]]:
        return {}

    def granularities(self, operators: OperatorSet, per_sample_inputs: frozenset[str] = frozenset()) -> tuple[Granularity, ...]:
        """For each node, whether it holds one value per element or one per sample."""
        kinds: list[Granularity] = []
        for node in self.nodes:
            if node.is_constant:
                kind = Granularity.SAMPLE
            elif node.is_input:
                kind = Granularity.SAMPLE if node.name in per_sample_inputs else Granularity.ELEMENT
            elif operators[node.name].yields_sample or all(kinds[i] is Granularity.SAMPLE for i in node.operands):
                kind = Granularity.SAMPLE
            else:
                kind = Granularity.ELEMENT
            kinds.append(kind)
        return tuple(kinds)

    def __str__(self) -> str:
        names: dict[int, str] = {}
        free_names = (name for name in map("t{}".format, itertools.count(1)) if name not in self.input_names)
        statements: list[str] = []
        written: list[str] = []
        for index, node in enumerate(self.nodes):
            if node.is_constant:
                text = _write_number(node.value)
            elif node.is_input:
                text = node.name
            else:
                text = f"{node.name}({', '.join(names.get(i, written[i]) for i in node.operands)})"
                if self._uses[index] > 1:
                    names[index] = next(free_names)
                    statements.append(f"{names[index]} = {text}; ")
            written.append(text)
        return "".join(statements) + written[-1]


def _write_number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
