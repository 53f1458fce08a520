"""Signs by interval arithmetic: log of a probability is negative, which SymPy's own assumptions cannot say.

The bounds are for making proposals only; every proposal is compared with the loss afterwards.
"""

import functools
import itertools
import math
from collections.abc import Mapping

import sympy

from jaxloss.symbolic import domain, symbols
from jaxloss.symbolic.domain import ValueRange

_UNKNOWN = domain.REAL
_INCREASING = {
    sympy.exp: lambda x: math.exp(x) if x < 700 else math.inf,
    sympy.log: lambda x: math.log(x) if x > 0 else -math.inf,
    sympy.tanh: math.tanh,
    sympy.atan: math.atan,
    sympy.erf: math.erf,
}
_ODD = (sympy.tanh, sympy.atan, sympy.erf, sympy.asin)
_MAX_ROUNDS = 5  # one rule may make room for another
_AVERAGES = (symbols.Mean_nhw, symbols.Mean_c, symbols.MaxPool3x3, symbols.MinPool3x3, symbols.Detach)


def resolve_signs(expression: sympy.Expr, ranges: Mapping[str, ValueRange], epsilon: float) -> sympy.Expr:
    """Writes |x| and sign(x) out where the sign of x is known, and drops sign(x) beside a positive power of x >= 0."""
    bounds = _bounds_of(ranges, epsilon)

    def absolute(x: sympy.Expr) -> sympy.Expr:
        low, high = bounds(x)
        return x if low >= 0 else -x if high <= 0 else sympy.Abs(x)

    def sign(x: sympy.Expr) -> sympy.Expr:
        if x.is_Mul:
            return sympy.Mul(*(sign(factor) for factor in x.args))
        if x.func in _ODD:
            return sign(x.args[0])
        low, high = bounds(x)
        return sympy.S.One if low > 0 else sympy.S.NegativeOne if high < 0 else sympy.sign(x)

    def without_sign(product: sympy.Expr) -> sympy.Expr:
        powers = dict(factor.as_base_exp() for factor in product.args)
        return sympy.Mul(*(factor for factor in product.args if not _is_useless(factor, powers, bounds)))

    for _ in range(_MAX_ROUNDS):
        before = expression
        expression = expression.replace(sympy.sign, sign).replace(lambda node: node.is_Mul, without_sign)
        expression = expression.replace(sympy.Abs, absolute)
        if expression == before:
            break
    return expression


def drop_needless_epsilon(expression: sympy.Expr, ranges: Mapping[str, ValueRange]) -> sympy.Expr:
    """Drops epsilon beside what is always positive: in log(1 + y + epsilon), but not in log(y + epsilon)."""
    bounds = _bounds_of(ranges, 0.0)

    def without_epsilon(total: sympy.Expr) -> sympy.Expr:
        rest = total - symbols.EPSILON
        return rest if symbols.EPSILON in total.args and bounds(rest)[0] > 0 else total

    return expression.replace(lambda node: node.is_Add, without_epsilon)


def _bounds_of(ranges: Mapping[str, ValueRange], epsilon: float):
    """A function from an expression to its bounds, that remembers what it has computed."""
    known = {name: domain.bounds(name, span) for name, span in ranges.items()} | {"epsilon": (epsilon, epsilon)}

    @functools.cache
    def bounds(node: sympy.Expr) -> ValueRange:
        return _bounds(node, bounds, known)

    return bounds


def _is_useless(factor: sympy.Expr, powers: Mapping[sympy.Expr, sympy.Expr], bounds) -> bool:
    """Whether a factor is sign(x) beside a positive power of an x that is never negative."""
    if not isinstance(factor, sympy.sign):
        return False
    (x,) = factor.args
    return bounds(x)[0] >= 0 and powers.get(x, sympy.S.Zero).is_positive is True


def _bounds(node, bounds, known: Mapping[str, ValueRange]) -> ValueRange:
    if node.is_Symbol:
        return known.get(node.name, _UNKNOWN)
    if not node.free_symbols:
        return (float(node), float(node)) if node.is_real else _UNKNOWN
    if isinstance(node, sympy.Add):
        lows, highs = zip(*(bounds(x) for x in node.args), strict=True)
        return sum(lows), sum(highs)
    if isinstance(node, sympy.Mul):
        return functools.reduce(_product, (bounds(x) for x in node.args))
    if isinstance(node, sympy.Pow):
        return _power(bounds(node.base), node.exp)
    if isinstance(node, sympy.Abs):
        low, high = bounds(node.args[0])
        return (max(low, -high, 0.0), max(-low, high))
    if isinstance(node, sympy.Max):
        lows, highs = zip(*(bounds(x) for x in node.args), strict=True)
        return max(lows), max(highs)
    if isinstance(node, _AVERAGES):
        return bounds(node.args[0])
    if isinstance(node, symbols.Softmax):
        return domain.bounds("softmax", (0.0, 1.0))
    if isinstance(node, sympy.sign):
        low, high = bounds(node.args[0])
        return (0.0 if low >= 0 else -1.0), (0.0 if high <= 0 else 1.0)
    if isinstance(node, (sympy.sin, sympy.cos)):
        return -1.0, 1.0
    if node.func in _INCREASING:
        low, high = bounds(node.args[0])
        return _INCREASING[node.func](low), _INCREASING[node.func](high)
    return _UNKNOWN


def _product(first: ValueRange, second: ValueRange) -> ValueRange:
    ends = [0.0 if 0 in pair else pair[0] * pair[1] for pair in itertools.product(first, second)]
    return min(ends), max(ends)


def _power(base: ValueRange, exponent: sympy.Expr) -> ValueRange:
    low, high = base
    if not exponent.is_Rational:
        return _UNKNOWN
    if exponent.is_negative:
        low, high = _power(base, -exponent)
        return (_reciprocal(high), _reciprocal(low)) if low >= 0 or high < 0 else _UNKNOWN
    if low >= 0:
        return _float_power(low, exponent), _float_power(high, exponent)
    if exponent.is_Integer and exponent % 2 == 0:
        largest = _float_power(max(-low, high), exponent)
        return (_float_power(-high, exponent) if high < 0 else 0.0), largest
    if exponent.is_Integer:
        return -_float_power(-low, exponent), _float_power(high, exponent) if high >= 0 else -_float_power(-high, exponent)
    return _UNKNOWN


def _reciprocal(x: float) -> float:
    return 1 / x if x else math.inf


def _float_power(x: float, exponent: sympy.Rational) -> float:
    try:
        return x ** float(exponent)
    except OverflowError:
        return math.inf
