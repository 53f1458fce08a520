"""Reads the text form of a graph, in the papers' function notation; a mistake is located.

`str(graph)` writes it, see `graphs.graph`.
"""

import collections
import dataclasses
import re
from collections.abc import Iterator, Sequence

import numpy as np

from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.core.form import shortened
from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.graphs.operators.operator import OperatorSet

MAX_NODES = 512
MAX_DEPTH = 100
# Characters: room for the largest graph with long names and numbers. What is longer is refused before it is looked at.
MAX_LENGTH = 64 * MAX_NODES
# Networks train in single precision, where what is larger would be infinite.
MAX_NUMBER = float(np.finfo(np.float32).max)


class FormulaError(UserError):
    """A formula that cannot be read. `position` counts characters from 0."""

    def __init__(self, message: str, text: str, position: int, whose: str = ""):
        super().__init__(f"bad formula{whose} at character {position + 1}: {message} (in '{shortened(text)}')")
        self.position = position


_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)|(?P<name>[A-Za-z_]\w*)|(?P<mark>[(),;=]))"
)


@dataclasses.dataclass(frozen=True)
class _Token:
    kind: str  # number, name, mark or end
    text: str
    position: int


def _tokens(text: str, whose: str) -> Iterator[_Token]:
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            position += len(text[position:]) - len(text[position:].lstrip())
            raise FormulaError(f"unexpected character '{text[position]}'", text, position, whose)
        kind = match.lastgroup
        yield _Token(kind, match.group(kind), match.start(kind))
        position = match.end()
    yield _Token("end", "the end", len(text))


class _Reader:
    """A recursive-descent reader; nodes are appended as they are read."""

    def __init__(self, text: str, operators: OperatorSet, inputs: Sequence[str], whose: str):
        self.text, self.operators, self.inputs, self.whose = text, operators, tuple(inputs), whose
        if len(text) > MAX_LENGTH:
            raise FormulaError(f"longer than {MAX_LENGTH} characters", text, MAX_LENGTH, whose)
        self.tokens = collections.deque(_tokens(text, whose))
        self.nodes: list[Node] = []
        self.named: dict[str, int] = {}
        self.unused: dict[str, _Token] = {}

    def fail(self, message: str, token: _Token):
        raise FormulaError(message, self.text, token.position, self.whose)

    def take(self, mark: str) -> None:
        token = self.tokens.popleft()
        if token.text != mark or token.kind != "mark":
            self.fail(f"expected '{mark}' but found '{token.text}'", token)

    def append(self, node: Node, token: _Token) -> int:
        if len(self.nodes) >= MAX_NODES:
            self.fail(f"more than {MAX_NODES} nodes", token)
        self.nodes.append(node)
        return len(self.nodes) - 1

    def expression(self, depth: int = 0) -> int:
        token = self.tokens.popleft()
        if depth > MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH}", token)
        if token.kind == "number":
            if abs(float(token.text)) > MAX_NUMBER:
                self.fail(f"the number {token.text} is out of range: single precision ends at {MAX_NUMBER:.8g}", token)
            return self.append(constant(float(token.text)), token)
        if token.kind != "name":
            self.fail(f"expected an operator, an input or a number but found '{token.text}'", token)
        if self.tokens[0].text == "(":
            return self.call(token, depth)
        if token.text in self.named:
            self.unused.pop(token.text, None)
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
            token = self.tokens.popleft()
            if token.text in self.inputs:
                self.fail(f"'{token.text}' is an input and cannot be assigned", token)
            if token.text in self.named:
                self.fail(f"'{token.text}' is assigned twice", token)
            self.take("=")
            self.named[token.text] = self.expression()
            self.unused[token.text] = token
            self.take(";")
        output = self.expression()
        if self.tokens[0].kind != "end":
            self.fail(f"unexpected '{self.tokens[0].text}' after the end of the formula", self.tokens[0])
        for name, token in self.unused.items():
            self.fail(f"'{name}' is assigned and never used", token)
        return Graph.build(self.nodes, output)


def parse(text: str, operators: OperatorSet, inputs: Sequence[str], whose: str = "") -> Graph:
    """Reads the text form; the inverse of `str(graph)`.

    What is read from `str(graph)` is the same loss: its text, its key, and its `merged` and `canonical` graphs are equal. As an
    object it need not be equal to `graph`: an input or a number stands in a formula wherever it is used, and each of these places
    is read as a leaf of its own, where a graph may have one leaf for several. Compare `graph.merged()`, or keys.

    Args:
      text: for example `Neg(Mul(target, Log(prediction)))`.
      operators: the set that the operators' names belong to.
      inputs: names that may stand at the leaves; numbers may always.
      whose: such as ` of t`, for the message.

    Raises:
      FormulaError: names the position, what was found there and what would be right.
    """
    return _Reader(text, operators, inputs, whose).read()
