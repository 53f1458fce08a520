"""Where a formula, read with every epsilon as 0, has no finite value or no finite slope. Imports SymPy only, as `proposals` does.

Candidates are the zeros of what stands in a logarithm, in a denominator or under a root; each is tried close by, with many
digits. What neighbouring values give (a mean, a maximum) counts as some number that does not change.
"""

from collections.abc import Iterator, Mapping

import sympy

from jaxloss.symbolic import symbols
from jaxloss.symbolic.domain import TARGET, ValueRange

VALUE, SLOPE = "value", "slope"
# How near a point is looked at, first and then. A logarithm grows by 46 in between.
_NEAR, _NEARER = sympy.Rational(1, 10**20), sympy.Rational(1, 10**40)
_DIGITS = 60
_GROWN, _STEEPER = 10, 100
# A number that no formula would cancel by chance stands for what its neighbours give.
_SOME_NUMBER = sympy.Rational(61803, 100003)


def singularities(text: str, ranges: Mapping[str, ValueRange], epsilon: float | None = None) -> Iterator[tuple[str, str]]:
    """Yields (`value` or `slope`, `prediction = 0, target = 1`), a line for each point of each input, where it has any.

    Args:
      text: the formula as SymPy text.
      ranges: every input -> (low, high); their ends are looked at, too.
      epsilon: not used: what is kept finite by it alone is a pole that it hides.
    """
    del epsilon
    expression = _without_neighbours(symbols.read(text, ranges).subs(symbols.EPSILON, 0))
    for name, span in ranges.items():
        variable = next((one for one in expression.free_symbols if one.name == name), None)
        if variable is None or name == TARGET:
            continue
        for target, given in _with_targets(expression):
            others = {one: _SOME_NUMBER for one in given.free_symbols if one != variable}
            for what, point in _of_one(given.subs(others), variable, span):
                yield what, f"{name} = {point}" + (f", {TARGET} = {target}" if target is not None else "")


def _without_neighbours(expression: sympy.Expr) -> sympy.Expr:
    """Aggregations and signs as numbers: a sign does not change where its operand is not 0."""
    aggregations = (symbols.Mean_nhw, symbols.Mean_c, symbols.MaxPool3x3, symbols.MinPool3x3, symbols.Dot, symbols.Softmax)
    expression = expression.replace(lambda one: isinstance(one, aggregations), lambda one: _SOME_NUMBER)
    return expression.replace(symbols.Detach, lambda one: one)


def _with_targets(expression: sympy.Expr) -> list[tuple[int | None, sympy.Expr]]:
    target = next((one for one in expression.free_symbols if one.name == TARGET), None)
    if target is None:
        return [(None, expression)]
    return [(value, expression.subs(target, value)) for value in (1, 0)]


def _of_one(expression: sympy.Expr, variable: sympy.Symbol, span: ValueRange) -> Iterator[tuple[str, sympy.Expr]]:
    """The points of an expression of one variable; not of one that has no value anywhere."""
    if expression.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        return
    x = sympy.Dummy("x", real=True)
    expression = expression.subs(variable, x)
    domain = sympy.Interval(*(sympy.nsimplify(end) if abs(end) < sympy.oo else end for end in span))
    points = set()
    for base in _bases(expression):
        zeros = sympy.solveset(base, x, domain)
        if isinstance(zeros, sympy.FiniteSet):
            points |= set(zeros)
    slope = sympy.diff(expression, x)
    for point in sorted(points, key=float):
        if _runs_away(expression, x, point, domain, absolute=True):
            yield VALUE, point
        elif _runs_away(slope, x, point, domain, absolute=False):
            yield SLOPE, point


def _bases(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    """What must not be 0 for the expression and its slope to be finite."""
    for part in sympy.preorder_traversal(expression):
        inner = None
        if part.is_Pow and part.exp.is_number and not (part.exp.is_integer and part.exp.is_positive):
            inner = part.base
        elif isinstance(part, sympy.log):
            inner = part.args[0]
        if inner is not None and inner.free_symbols:
            yield inner.replace(sympy.Abs, lambda one: one)


def _runs_away(f: sympy.Expr, x: sympy.Symbol, point: sympy.Expr, domain: sympy.Interval, absolute: bool) -> bool:
    """Whether values grow without end on some side of a point that belongs to the domain."""
    for sign in (1, -1):
        if domain.contains(point + sign * _NEAR) != sympy.true:
            continue
        near, nearer = (sympy.Abs(f.subs(x, point + sign * step).evalf(_DIGITS)) for step in (_NEAR, _NEARER))
        if not (near.is_number and nearer.is_number and near.is_real and nearer.is_real):
            return True
        if nearer > near + _GROWN if absolute else nearer > _STEEPER * near:
            return True
    return False
