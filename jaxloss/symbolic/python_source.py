"""A loss as a Python file that stands alone: it imports JAX, and nothing else that has to be installed.

The code is written from the graph, node by node, never from a simplified form: what was found and what is trained with it later
must agree on the border too, where softmax yields exactly 0 or 1. The simplified form stands in the docstring.
"""

import ast
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from jaxloss.graphs.operators import python_helpers
from jaxloss.symbolic.expression import Formula

_LONGEST_EXPRESSION = 72

_SHARED = '''
def _prepare(mask, *arrays):
    """Arrays [N, C] or [N, H, W, C] as [N, H, W, C]; void positions hold a number that reaches no valid one."""
    positions = arrays[0].shape[:-1]
    grid = positions if len(positions) == 3 else (positions[0], 1, 1)
    mask = jnp.ones_like(arrays[0][..., 0], bool) if mask is None else jnp.asarray(mask, bool)
    mask = jnp.reshape(mask, (*grid, 1))
    return mask, *(jnp.where(mask, jnp.reshape(x, (*grid, x.shape[-1])), 0.5) for x in arrays)


def _mean(values, mask, weights):
    """The sum over C, and the weighted mean over the valid N, H, W."""
    positions = values.shape[:-1]
    mask = jnp.ones_like(values[..., 0], bool) if mask is None else jnp.reshape(jnp.asarray(mask, bool), positions)
    weights = jnp.ones_like(values[..., 0]) if weights is None else jnp.reshape(weights, positions)
    weights = jnp.where(mask, weights, 0).astype(values.dtype)
    total = jnp.sum(weights)
    per_position = jnp.sum(jnp.where(mask[..., None], values, 0), axis=-1)
    return jnp.sum(per_position * weights) / jnp.where(total > 0, total, 1)
'''

_FUNCTIONS = '''
def loss{suffix}({inputs}, mask=None, weights=None):
    """The loss, a scalar: the sum over C, and the weighted mean over the valid N, H, W.

    Args:
      {inputs}: arrays of shape [N, C] or [N, H, W, C].
      mask: False on void positions, shape [N] or [N, H, W], with or without a last axis of 1.
      weights: non-negative, of the same shape.
    """
    return _mean(loss_values{suffix}({inputs}, mask), mask, weights)


def loss_values{suffix}({inputs}, mask=None):
    """The loss before it is averaged, shape [N, C] or [N, H, W, C]; C = 1 where there is one value per sample."""
    positions = {first}.shape[:-1]
    mask, {inputs} = _prepare(mask, {inputs})
{statements}
    return values.reshape(*positions, values.shape[-1])
'''


def function_suffixes(branches: Collection[str]) -> dict[str, str]:
    """Branch -> what follows `loss` in its function's name: nothing where there is one branch."""
    if len(branches) == 1:
        return dict.fromkeys(branches, "")
    return {name: "_" + re.sub(r"\W", "_", name) for name in branches}


def to_python(branches: Mapping[str, Formula], docstring: str) -> str:
    """The text of a Python module.

    Args:
      branches: branch name -> formula; the functions are `loss` and `loss_values`, or `loss_BRANCH` and `loss_values_BRANCH`
        where there are several branches.
      docstring: of the module: the formula, and how it was found.
    """
    bodies = [(name, formula.inputs, statements_of(formula)) for name, formula in branches.items()]
    return assemble(docstring, functions_around(bodies), helpers_of(branches.values()))


def helpers_of(formulas: Collection[Formula]) -> list[str]:
    """Sources of the helper functions that formulas call: those of one operator set alone first, each in a fixed order."""
    called = set()
    for formula in formulas:
        for node, name in zip(formula.graph.nodes, formula.operator_names(), strict=True):
            called.update(formula.operators[name].helpers if node.is_operator else ())
    of_sets = [source for formula in formulas for operator in formula.operators.operators for source in operator.helpers]
    own = dict.fromkeys(source for source in of_sets if source not in python_helpers.SHARED)
    return [source for source in (*own, *python_helpers.SHARED) if source in called]


def assemble(docstring: str, body: str, helpers: Iterable[str]) -> str:
    """A module from its docstring, its functions and the helpers that they call, with the imports that they need."""
    body = "\n".join([body, *helpers])
    # In the order of tools that sort imports. Some functions are not in jax.numpy: stop_gradient, softmax, erf.
    imports = "import collections\n\n" if "collections." in body else ""
    if "jax.lax." in body or "jax.nn." in body or "jax.scipy." in body:
        imports += "import jax\n"
    imports += "import jax.numpy as jnp\n"
    if "jax.scipy." in body:
        imports += "import jax.scipy.special\n"
    docstring = docstring.strip().replace("\\", "\\\\").replace('"""', r"\"\"\"").removesuffix('"')
    return f'"""{docstring}' + ("\n" if "\n" in docstring else "") + f'"""\n\n{imports}\n{body}'


def functions_around(bodies: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> str:
    """`loss` and `loss_values`, or those of each branch, and what they share.

    Args:
      bodies: (branch, inputs, statements): statements that make `values` `[N, H, W, C]` of the inputs and `mask` `[N, H, W, 1]`.
    """
    suffixes = function_suffixes([branch for branch, *_ in bodies])
    return "\n".join(_around(statements, inputs, suffixes[branch]) for branch, inputs, statements in bodies) + "\n" + _SHARED


def _around(statements: Sequence[str], inputs: Sequence[str], suffix: str) -> str:
    body = "\n".join("    " + statement for statement in statements)
    return _FUNCTIONS.format(suffix=suffix, inputs=", ".join(inputs), first=inputs[0], statements=body)


def statements_of(formula: Formula) -> list[str]:
    """One assignment for every node that is used twice or grows too long, the last one to `values`."""
    graph = formula.graph.merged()
    formula = Formula(graph, formula.operators, formula.inputs, formula.per_sample_inputs)
    names = formula.operator_names()
    uses = [operand for node in graph.nodes for operand in node.operands]
    statements: list[str] = []
    written: list[str] = []
    temporaries = (name for name in (f"t{i}" for i in range(1, 10**6)) if name not in formula.inputs)
    for index, (node, name) in enumerate(zip(graph.nodes, names, strict=True)):
        if node.is_constant:
            text = f"{node.value:g}" if float(f"{node.value:g}") == node.value else repr(node.value)
            if not _stays_scalar(formula, index):
                text = f"jnp.full_like({formula.inputs[0]}[..., :1], {text})"
        elif node.is_input:
            text = node.name
        else:
            text = formula.operators[name].python.format(*(written[i] for i in node.operands))
            # Reading the text and writing it again leaves only the parentheses that are needed.
            text = ast.unparse(ast.parse(text, mode="eval"))
        last = index == len(graph.nodes) - 1
        if last or (not node.is_input and (len(text) > _LONGEST_EXPRESSION or (uses.count(index) > 1 and len(text) > 4))):
            variable = "values" if last else next(temporaries)
            statements.append(f"{variable} = {text}")
            text = variable
        written.append(text)
    return statements


def _stays_scalar(formula: Formula, index: int) -> bool:
    """Whether a constant may be written as a number: only beside an array, in arithmetic that spreads it."""
    nodes = formula.graph.nodes
    users = [node for node in nodes if index in node.operands]
    return bool(users) and all(
        len(user.operands) == 2
        and not formula.operators[user.name].aggregates
        and not any(nodes[i].is_constant for i in user.operands if i != index)
        and set(user.operands) != {index}
        for user in users
    )
