"""Computes a SymPy expression in JAX, without printing and reading code: every node becomes one JAX operation."""

import functools
import operator
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import sympy

from jaxloss.core.types import Array, LossInputs
from jaxloss.graphs.operators.aggregations import max_pooling, mean_c, mean_nhw, min_pooling
from jaxloss.graphs.operators.operator import Neighbourhood
from jaxloss.symbolic import symbols

_FUNCTIONS = {
    sympy.exp: jnp.exp,
    sympy.log: jnp.log,
    sympy.Abs: jnp.abs,
    sympy.sign: jnp.sign,
    sympy.tanh: jnp.tanh,
    sympy.sinh: jnp.sinh,
    sympy.cosh: jnp.cosh,
    sympy.sin: jnp.sin,
    sympy.cos: jnp.cos,
    sympy.tan: jnp.tan,
    sympy.asin: jnp.arcsin,
    sympy.acos: jnp.arccos,
    sympy.atan: jnp.arctan,
    sympy.erf: jax.scipy.special.erf,
    sympy.erfc: jax.scipy.special.erfc,
    sympy.Max: lambda *xs: functools.reduce(jnp.maximum, xs),
    sympy.Min: lambda *xs: functools.reduce(jnp.minimum, xs),
    symbols.Softmax: lambda x: jax.nn.softmax(x, axis=-1),
    symbols.Detach: jax.lax.stop_gradient,
    symbols.Dot: lambda x, y: jnp.sum(x * y, axis=-1, keepdims=True),
}
_AGGREGATIONS = {
    symbols.Mean_nhw: mean_nhw,
    symbols.Mean_c: mean_c,
    symbols.MaxPool3x3: max_pooling,
    symbols.MinPool3x3: min_pooling,
}


def evaluate(expression: sympy.Expr, inputs: LossInputs, epsilon: float | None) -> Array:
    """The unreduced loss, of a shape that broadcasts to `[N, H, W, C]`.

    Raises:
      NotImplementedError: names the SymPy function that has no JAX form here.
    """
    neighbourhood = Neighbourhood(inputs.mask)
    some_input = next(iter(inputs.arrays.values()))
    values: Mapping[str, Array | float] = {**inputs.arrays, "epsilon": epsilon}

    def constant(number: sympy.Expr) -> Array:
        return jnp.full((*some_input.shape[:-1], 1), float(number), some_input.dtype)

    @functools.cache
    def compute(node: sympy.Expr) -> Array:
        if node.is_Symbol:
            return jnp.asarray(values[node.name])
        if not node.free_symbols:
            if not node.is_extended_real:
                raise NotImplementedError(f"no real number: {node}")
            return constant(node)
        if node.is_Pow:
            base = compute(node.base)
            return _power(base, node.exp) if node.exp.is_Rational else jnp.power(base, compute(node.exp))
        operands = [compute(x) for x in node.args]
        if node.is_Add:
            return functools.reduce(operator.add, operands)
        if node.is_Mul:
            return functools.reduce(operator.mul, operands)
        if node.func in _AGGREGATIONS:
            return _AGGREGATIONS[node.func](*operands, neighbourhood)
        if node.func in _FUNCTIONS:
            return _FUNCTIONS[node.func](*operands)
        raise NotImplementedError(f"no JAX form of {node.func.__name__}")

    return compute(expression)


def _power(base: Array, exponent: sympy.Rational) -> Array:
    if exponent.is_Integer:
        return base ** int(exponent)
    if exponent.q == 2:
        return jnp.sqrt(base) ** int(exponent.p)
    return jnp.power(base, float(exponent))
