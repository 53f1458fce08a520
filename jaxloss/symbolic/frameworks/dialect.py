"""From a module that computes with JAX to the same module in another framework.

Found losses are written once, for JAX, whatever space they come from. A dialect says what each function of JAX is called
elsewhere; everything else of the text, comments and layout included, stays as it is.
"""

import ast
import dataclasses
import re
from collections.abc import Callable, Mapping

from jaxloss.core.errors import UserError
from jaxloss.symbolic.one_hot_check import without_check

# Texts of the arguments of a call -> its text in the other framework: a call, a name, or something in parentheses.
Rule = Callable[..., str]

_ALIASES = ("jnp", "jax")
# Where imports will stand; no source has a zero byte.
_IMPORTS = "\0"
# Of the standard library, for any framework; they stand first.
_STANDARD = ("collections", "math")


@dataclasses.dataclass(frozen=True)
class Dialect:
    """A framework, as far as losses need it.

    Attributes:
      name: as `--format` has it.
      imports: name -> the line that imports it, in order; those that are used take the place of those of JAX.
      calls: dotted name of a function, such as `jnp.exp` -> its rule.
      names: dotted name of what is not called, such as `jnp.inf` -> what stands for it.
      methods: name of an array's method -> its rule, the array first.
      shape: rule of `array.shape`; None leaves it.
      helpers: name of a function that rules may write -> its source.
      of_labels: source of a class of losses that takes logits and labels; `ARGUMENTS` are those of `loss_values`, made of
        `logits` and a one-hot `target` with the classes on the last axis. Empty where the framework has no such classes.
      check: source of `_check(cases)`, which raises where a case is not met, see `frameworks.self_check`.
      check_words: what a file prints whose cases are met.
    """

    name: str
    imports: Mapping[str, str]
    calls: Mapping[str, Rule]
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    methods: Mapping[str, Rule] = dataclasses.field(default_factory=dict)
    shape: Rule | None = None
    helpers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    of_labels: str = ""
    check: str = ""
    check_words: str = "values and gradients are those of JAX"


def renamed(name: str, **keywords: str) -> Rule:
    """The rule of a function that differs by its name, and by the names of some keywords: `renamed('torch.sum', axis='dim')`."""

    def rule(*arguments: str, **named: str) -> str:
        return f"{name}({', '.join([*arguments, *(f'{keywords.get(key, key)}={text}' for key, text in named.items())])})"

    return rule


def is_number(text: str) -> bool:
    """Whether the text of an argument is a plain number, or a constant of the module, which are in capitals."""
    if text.isidentifier():
        return text.isupper()
    try:
        float(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError):
        return False
    return True


def translate(source: str, dialect: Dialect, *more: str) -> str:
    """A module that imports JAX, written in another framework.

    Args:
      source: of the module.
      dialect: of the framework.
      *more: sources that are put behind it as they are.

    Raises:
      UserError: names a function that has no counterpart there.
    """
    text = _Translator(without_check(source), dialect).module()
    text = "\n".join([text, *(helper for name, helper in dialect.helpers.items() if f"{name}(" in text)])
    text = "\n\n".join([text.rstrip("\n"), *more]) + "\n"
    blocks = {name: f"import {name}" for name in _STANDARD}, dialect.imports
    used = ["\n".join(line for name, line in block.items() if _uses(text, name)) for block in blocks]
    text = text.replace(_IMPORTS, "\n\n".join(filter(None, used)), 1)
    # Of statements that became nothing, empty lines are left: two are before a function, one behind the imports.
    text = re.sub(r"\n{4,}", "\n\n\n", text)
    return re.sub(r"^((?:import|from) .*\n)\n{2,}(?!def |class |@)", r"\1\n", text, flags=re.MULTILINE)


def _uses(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w.]){name}\.", text) is not None


class _Translator:
    """Rewrites one module, see `translate`. Positions of the syntax tree are counted in bytes."""

    def __init__(self, source: str, dialect: Dialect):
        self._source, self._dialect = source.encode(), dialect
        lines = self._source.splitlines(keepends=True)
        self._line_starts = [sum(map(len, lines[:number])) for number in range(len(lines) + 1)]
        self._has_imports = False

    def module(self) -> str:
        return self._with_children(ast.parse(self._source), 0, len(self._source))

    def _text(self, node: ast.AST) -> str:
        """The new text of one node."""
        if isinstance(node, ast.Import) and all(alias.name.split(".")[0] in ("jax", *_STANDARD) for alias in node.names):
            imports = "" if self._has_imports else _IMPORTS
            self._has_imports = True
            return imports
        if isinstance(node, ast.Call) and (written := self._call(node)) is not None:
            return written
        if isinstance(node, ast.Attribute):
            if name := _dotted(node):
                return self._known(self._dialect.names, name)
            if node.attr == "shape" and self._dialect.shape is not None:
                return self._dialect.shape(self._text(node.value))
        return self._with_children(node, *self._range(node))

    def _call(self, node: ast.Call) -> str | None:
        """None for a call that is no matter of the framework."""
        if name := _dotted(node.func):
            rule, arguments = self._known(self._dialect.calls, name), node.args
        elif isinstance(node.func, ast.Attribute) and node.func.attr in self._dialect.methods:
            rule, arguments = self._dialect.methods[node.func.attr], [node.func.value, *node.args]
        else:
            return None
        texts = [self._text(one) for one in arguments]
        if arguments and arguments[0] is getattr(node.func, "value", None) and isinstance(arguments[0], (ast.Compare, ast.BinOp)):
            # The parentheses of the array of a method are no part of it.
            texts[0] = f"({texts[0]})"
        return rule(*texts, **{one.arg: self._text(one.value) for one in node.keywords})

    def _known(self, table: Mapping, name: str):
        if name not in table:
            raise UserError(f"the loss calls {name}, for which the format {self._dialect.name} has nothing")
        return table[name]

    def _with_children(self, node: ast.AST, start: int, end: int) -> str:
        """The text of a node as it is, with the new text of what is in it."""
        parts, position = [], start
        for child in sorted(_placed_children(node), key=lambda one: self._range(one)[0]):
            first, last = self._range(child)
            parts += [self._source[position:first].decode(), self._text(child)]
            position = last
        return "".join([*parts, self._source[position:end].decode()])

    def _range(self, node: ast.AST) -> tuple[int, int]:
        # A function begins with what decorates it, and that with its sign.
        line, column = min([(one.lineno, one.col_offset - 1) for one in getattr(node, "decorator_list", ())], default=(0, 0))
        if not line:
            line, column = node.lineno, node.col_offset
        return (
            self._line_starts[line - 1] + column,
            self._line_starts[node.end_lineno - 1] + node.end_col_offset,
        )


def _dotted(node: ast.AST) -> str | None:
    """`jnp.exp` or `jax.nn.softmax` of a chain of attributes; None where it begins elsewhere."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if names and isinstance(node, ast.Name) and node.id in _ALIASES else None


def _placed_children(node: ast.AST):
    """The nodes right below one that have a place in the text."""
    for child in ast.iter_child_nodes(node):
        if hasattr(child, "lineno"):
            yield child
        else:
            yield from _placed_children(child)
