"""Functions of this package as source that stands alone: with all that they call, and nothing else than JAX.

What is written is the code that was trained with, for one device: what is there for several of them is left out.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from jaxloss.core.errors import UserError

_PACKAGE = __name__.split(".")[0]
# What modules are called in what is written; other modules are not there.
_MODULES = {"jax.numpy": "jnp", "jax": "jax", "jax.lax": "jax.lax"}
_NUMBERS = (bool, int, float, str)


def standing_alone(functions: Sequence[Callable[..., Any]]) -> str:
    """Functions, and all of this package that they call.

    Args:
      functions: of modules; they and those that they call are plain functions, named tuples and data classes.

    Returns:
      The source, in which what is called comes first. Functions keep their names.

    Raises:
      UserError: names what cannot be written.
    """
    written: dict[str, tuple[Any, str]] = {}
    for function in functions:
        _add(function, function.__name__, f"the loss {function.__name__}", written)
    return "\n\n\n".join(text for _, text in written.values()) + "\n"


def _add(value: Any, name: str, whole: str, written: dict[str, tuple[Any, str]]) -> None:
    """Writes a function, class or number after all that it names; `whole` is what is said where that cannot be done."""
    if name in written:
        if written[name][0] is not value:
            raise UserError(f"{whole} cannot be written as code: it calls two things of the name {name}")
        return
    if isinstance(value, _NUMBERS) or (isinstance(value, tuple) and all(isinstance(one, _NUMBERS) for one in value)):
        written[name] = (value, f"{name} = {value!r}")
        return
    is_own = getattr(value, "__module__", "").split(".")[0] == _PACKAGE
    if not is_own or not (inspect.isfunction(value) or inspect.isclass(value)):
        raise UserError(f"{whole} cannot be written as code: it calls {name}, which is no plain function of {_PACKAGE}")
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(value))).body
    names = vars(inspect.getmodule(value))
    node = _OnOneDevice(names).visit(node)
    if isinstance(node, ast.ClassDef):
        node = _as_named_tuple(node)
    for used in _globals_of(node):
        if used in names and not inspect.ismodule(names[used]):
            _add(names[used], used, whole, written)
        elif used in names and names[used].__name__ not in _MODULES:
            raise UserError(f"{whole} cannot be written as code: it calls the module {used}")
    written[name] = (value, ast.unparse(ast.fix_missing_locations(node)))


def _globals_of(node: ast.AST) -> list[str]:
    """Names that are read and not bound in a function or class, in order."""
    bound = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    bound |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
    return list(dict.fromkeys(one.id for one in ast.walk(node) if isinstance(one, ast.Name) and one.id not in bound))


class _OnOneDevice(ast.NodeTransformer):
    """Takes annotations and what is for several devices out, and calls modules as the written module does."""

    def __init__(self, names: dict[str, Any]):
        self._names = names

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        node.decorator_list = [one for one in node.decorator_list if isinstance(one, ast.Name) and one.id == "property"]
        node.body = _on_one_device(node.body)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        module = self._names.get(node.id)
        known = _MODULES.get(getattr(module, "__name__", "")) if inspect.ismodule(module) else None
        return ast.parse(known, mode="eval").body if known else node


def _on_one_device(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Statements without those that need the name of an axis of devices."""
    kept: list[ast.stmt] = []
    for statement in statements:
        condition = ast.unparse(statement.test) if isinstance(statement, ast.If) else ""
        if condition.endswith("axis_name is None"):
            # It returns: what follows is for several devices.
            return kept + statement.body
        if not condition.endswith("axis_name is not None"):
            kept.append(statement)
    return kept


def _as_named_tuple(node: ast.ClassDef) -> ast.ClassDef:
    """A class of fields as a named tuple of them, which needs no types."""
    fields = [one.target.id for one in node.body if isinstance(one, ast.AnnAssign)]
    methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
    base = ast.parse(f"collections.namedtuple({node.name!r}, {' '.join(fields)!r})", mode="eval").body
    doc = ast.Expr(ast.Constant((ast.get_docstring(node) or "Arrays.").splitlines()[0]))
    return ast.ClassDef(node.name, [base], [], [doc, *methods], [], type_params=[])
