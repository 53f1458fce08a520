"""Formulas for people: text, LaTeX (also for matplotlib's mathtext) and SymPy text."""

import dataclasses
import re
from collections.abc import Callable

import sympy
from sympy.printing.latex import LatexPrinter

from jaxloss.graphs.graph import Node
from jaxloss.symbolic.expression import Formula, sympy_text
from jaxloss.symbolic.simplify import Simplified

LATEX_NAMES = {
    "prediction": r"\hat{y}",
    "target": "y",
    "logits": "x",
    "prior": r"\pi",
    "cosine": r"c",
    "x": "x",
    "intersection": "i",
    "union": "u",
    "enclosing": "e",
    "epsilon": r"\epsilon",
}
_LARGEST_TREE = 60


class _Printer(LatexPrinter):
    """Writes exp as a word, as the papers do: towers of exponents cannot be read."""

    def _print_ExpBase(self, expression, exp=None):  # noqa: N802 - SymPy finds the method by its name
        text = rf"\exp\left({self._print(expression.args[0])}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"


def latex_name(name: str) -> str:
    """An input's letter in the papers, or its own name in upright type."""
    return LATEX_NAMES.get(name) or rf"\mathrm{{{name}}}".replace("_", r"\_")


def to_text(formula: Formula, simplified: Simplified) -> str:
    """The simplified form as one line, for example `-target*log(prediction)`; the formula itself where there is none."""
    return str(formula.graph) if simplified.expression is None else str(simplified.expression)


def to_decimal_text(formula: Formula, simplified: Simplified) -> str:
    """`to_text` with what has no input computed, to four digits: `1.216*x + 0.5` for `x*exp(sqrt(22)/24) + 1/2`."""
    return to_text(formula, _in_decimals(simplified))


def to_decimal_latex(formula: Formula, simplified: Simplified) -> str:
    """`to_latex`, likewise."""
    return to_latex(formula, _in_decimals(simplified))


def _in_decimals(simplified: Simplified) -> Simplified:
    if simplified.expression is None:
        return simplified

    def compute(part: sympy.Expr, number: Callable[[sympy.Expr], sympy.Expr]) -> sympy.Expr:
        if part.is_number and not part.is_Integer:
            return number(part)
        if not part.args:
            return part
        if part.is_Pow and part.exp.is_Rational:  # roots and squares stay what they are
            return sympy.Pow(compute(part.base, number), part.exp)
        if part.is_Add or part.is_Mul:
            # Numbers of a sum or a product are computed together.
            numbers, others = sympy.sift(part.args, lambda one: bool(one.is_number), binary=True)
            together = [number(part.func(*numbers))] if numbers else []
            return part.func(*together, *(compute(one, number) for one in others))
        return part.func(*(compute(one, number) for one in part.args))

    # Rounded at the end: SymPy multiplies a number into a sum, and a product of rounded numbers has wrong digits.
    precise = compute(simplified.expression, lambda one: sympy.N(one, 30))
    return dataclasses.replace(simplified, expression=compute(precise, _four_digits))


def _four_digits(number: sympy.Expr) -> sympy.Expr:
    value = float(f"{float(number):.4g}")
    return sympy.Integer(int(value)) if value == int(value) else sympy.Float(repr(value))


def to_sympy(formula: Formula, simplified: Simplified) -> str:
    """Text that `symbols.read` (or `sympy.sympify` with `symbols.names`) reads back."""
    if simplified.expression is not None:
        return str(simplified.expression)
    return sympy_text(formula) or str(formula.graph)


def to_latex(formula: Formula, simplified: Simplified) -> str:
    """LaTeX without dollar signs, for LaTeX, KaTeX and mathtext."""
    if simplified.expression is None:
        return _graph_latex(formula)
    expression = simplified.expression
    symbol_names = {symbol: latex_name(symbol.name) for symbol in expression.atoms(sympy.Symbol)}
    return _Printer({"symbol_names": symbol_names}).doprint(expression)


def _graph_latex(formula: Formula) -> str:
    """The formula from the templates of its operators; in a large one, what is used twice gets a name."""
    nodes = formula.graph.nodes
    uses = [operand for node in nodes for operand in node.operands]
    name_shared = formula.tree_size > _LARGEST_TREE
    statements: list[str] = []
    written: list[str] = []
    for index, (node, name) in enumerate(zip(nodes, formula.operator_names(), strict=True)):
        if node.is_constant:
            text = f"{node.value:g}" if node.value >= 0 else rf"\left({node.value:g}\right)"
        elif node.is_input:
            text = latex_name(node.name)
        else:
            operator = formula.operators[name]
            operands = [_grouped(nodes[i], written[i], operator.latex, k) for k, i in enumerate(node.operands)]
            text = operator.latex.format(*operands)
            if name_shared and uses.count(index) > 1:
                variable = f"t_{{{len(statements) + 1}}}"
                statements.append(f"{variable} = {text}")
                text = variable
        written.append(text)
    return r",\quad ".join([*statements, written[-1]])


def _grouped(node: Node, text: str, template: str, position: int) -> str:
    """Puts an operand into parentheses where the template has a power, or a product by juxtaposition, without any."""
    bare = re.search(rf"(^|[ }}])\{{{position}\}}($|[ ^])", template) and (r"\top" in template or f"{{{position}}}^" in template)
    return rf"\left({text}\right)" if bare and node.is_operator else text
