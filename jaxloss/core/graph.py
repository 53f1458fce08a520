"""Loss graphs as immutable data, with a text form in the papers' function notation.

A graph is a list of nodes in topological order, the output last. A tree (AutoLoss-Zero) uses every node once; a directed
acyclic graph (AutoLoss-GMS) may use a node several times. A graph knows names, not functions: what `Log` means is decided
by the operator set that it is used with.

The text form of a tree is `Neg(Mul(target, Log(prediction)))`. A node that is used more than once is named first:
`t1 = Exp(cosine); Mul(t1, Add(t1, 1))`.
"""

import dataclasses
import functools
import hashlib
import itertools
import math
import re
from collections.abc import Iterator, Sequence

from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.core.primitives import OperatorSet
from jaxloss.core.types import Granularity

CONSTANT = "const"
MAX_NODES = 512
MAX_DEPTH = 100


class FormulaError(UserError):
    """A formula that cannot be read. `position` counts characters from 0."""

    def __init__(self, message: str, text: str, position: int):
        text = " ".join(text.split())
        excerpt = text if len(text) <= 120 else text[:117] + "..."
        super().__init__(f"bad formula at character {position + 1}: {message} (in '{excerpt}')")
        self.position = position


@dataclasses.dataclass(frozen=True)
class Node:
    """An operator with operands, an input (no operands), or a constant (`name == CONSTANT`, with a value)."""

    name: str
    operands: tuple[int, ...] = ()
    value: float | None = None

    @property
    def is_operator(self) -> bool:
        return bool(self.operands)

    @property
    def is_constant(self) -> bool:
        return self.name == CONSTANT

    @property
    def is_input(self) -> bool:
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
        nodes = [
            Node(node.name, tuple(sorted(node.operands, key=digests.__getitem__)), node.value)
            if node.is_operator and operators[node.name].commutative
            else node
            for node in self.nodes
        ]
        return Graph.build(nodes).merged()

    def _digests(self, operators: OperatorSet) -> list[str]:
        digests: list[str] = []
        for node in self.nodes:
            operands = [digests[i] for i in node.operands]
            if node.is_operator and operators[node.name].commutative:
                operands.sort()
            content = f"{node.name}:{node.value!r}({','.join(operands)})"
            digests.append(hashlib.blake2b(content.encode(), digest_size=12).hexdigest())
        return digests

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


# --- reading -------------------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<mark>[(),;=]))")


@dataclasses.dataclass(frozen=True)
class _Token:
    kind: str  # number, name, mark or end
    text: str
    position: int


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            position += len(text[position:]) - len(text[position:].lstrip())
            raise FormulaError(f"unexpected character '{text[position]}'", text, position)
        kind = match.lastgroup
        yield _Token(kind, match.group(kind), match.start(kind))
        position = match.end()
    yield _Token("end", "the end", len(text))


class _Reader:
    """A recursive-descent reader; nodes are appended as they are read."""

    def __init__(self, text: str, operators: OperatorSet, inputs: Sequence[str]):
        self.text, self.operators, self.inputs = text, operators, tuple(inputs)
        self.tokens = list(_tokens(text))
        self.nodes: list[Node] = []
        self.named: dict[str, int] = {}

    def fail(self, message: str, token: _Token):
        raise FormulaError(message, self.text, token.position)

    def take(self, mark: str) -> None:
        token = self.tokens.pop(0)
        if token.text != mark or token.kind != "mark":
            self.fail(f"expected '{mark}' but found '{token.text}'", token)

    def append(self, node: Node, token: _Token) -> int:
        if len(self.nodes) >= MAX_NODES:
            self.fail(f"more than {MAX_NODES} nodes", token)
        self.nodes.append(node)
        return len(self.nodes) - 1

    def expression(self, depth: int = 0) -> int:
        token = self.tokens.pop(0)
        if depth > MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH}", token)
        if token.kind == "number":
            if not math.isfinite(float(token.text)):
                self.fail(f"the number {token.text} is out of range", token)
            return self.append(constant(float(token.text)), token)
        if token.kind != "name":
            self.fail(f"expected an operator, an input or a number but found '{token.text}'", token)
        if self.tokens[0].text == "(":
            return self.call(token, depth)
        if token.text in self.named:
            return self.named[token.text]
        if token.text not in self.inputs:
            names = ", ".join(self.inputs)
            self.fail(f"unknown input '{token.text}';{did_you_mean(token.text, self.inputs)} inputs are {names}", token)
        return self.append(Node(token.text), token)

    def call(self, token: _Token, depth: int) -> int:
        visible = {operator.name: operator for operator in self.operators.visible}
        if token.text not in visible:
            near = did_you_mean(token.text, visible)
            self.fail(f"unknown operator '{token.text}' in the set {self.operators.name};{near}", token)
        arity = visible[token.text].arity
        self.take("(")
        operands = [self.expression(depth + 1)]
        while self.tokens[0].text == ",":
            self.take(",")
            operands.append(self.expression(depth + 1))
        self.take(")")
        if len(operands) != arity:
            self.fail(f"{token.text} takes {arity} operand{'s' if arity > 1 else ''}, not {len(operands)}", token)
        return self.append(Node(token.text, tuple(operands)), token)

    def read(self) -> Graph:
        if self.tokens[0].kind == "end":
            self.fail("the formula is empty", self.tokens[0])
        while self.tokens[0].kind == "name" and self.tokens[1].text == "=":
            token = self.tokens.pop(0)
            if token.text in self.inputs:
                self.fail(f"'{token.text}' is an input and cannot be assigned", token)
            self.take("=")
            self.named[token.text] = self.expression()
            self.take(";")
        output = self.expression()
        if self.tokens[0].kind != "end":
            self.fail(f"unexpected '{self.tokens[0].text}' after the end of the formula", self.tokens[0])
        return Graph.build(self.nodes, output)


def parse(text: str, operators: OperatorSet, inputs: Sequence[str]) -> Graph:
    """Reads the text form; the inverse of `str(graph)`.

    Args:
      text: for example `Neg(Mul(target, Log(prediction)))`.
      operators: the set that the operators' names belong to.
      inputs: names that may stand at the leaves; numbers may always.

    Raises:
      FormulaError: names the position, what was found there and what would be right.
    """
    return _Reader(text, operators, inputs).read()
