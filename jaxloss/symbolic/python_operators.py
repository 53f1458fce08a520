"""What each operator is in an exported Python file, which imports nothing of this project.

A template is an expression over `{0}` and `{1}`; where one expression does not do, it calls a helper, whose source is here too.
"""

import re

import jaxloss.graphs.operators.primitives as primitives

_ZERO = primitives.AUTOLOSS_ZERO.name
_GMS = primitives.AUTOLOSS_GMS.name
_CSE = primitives.CSE_AUTOLOSS.name

_EVERYWHERE = {
    "Add": "({0}) + ({1})",
    "Mul": "({0}) * ({1})",
    "Neg": "-({0})",
    "Abs": "jnp.abs({0})",
    "Exp": "jnp.exp({0})",
    "Tanh": "jnp.tanh({0})",
    "Square": "({0}) ** 2",
    "Sin": "jnp.sin({0})",
    "Cos": "jnp.cos({0})",
    "Sqrt": "jnp.sqrt({0})",
    "Sig": "_sigmoid({0})",
    "Relu": "_relu({0})",
    "Softplus": "jnp.logaddexp({0}, 0)",
    "Mean_c": "_mean_c({0})",
    "Mean_nhw": "_mean_nhw({0}, mask)",
    "MaxPool3x3": "_max_pooling({0}, mask)",
    "MinPool3x3": "-_max_pooling(-({0}), mask)",
    "Dot": "jnp.sum(({0}) * ({1}), axis=-1, keepdims=True)",
    "DotOfSample": "({0}) * ({1})",
    "Softmax": "jax.nn.softmax({0}, axis=-1)",
    "SoftmaxOfSample": "({0}) - ({0}) + 1",
    "Detach": "jax.lax.stop_gradient({0})",
}
_OF_SET = {
    _ZERO: {"Inv": "1 / (({0}) + 1e-12)", "Log": "_log({0})", "Sqrt": "_sqrt({0})"},
    _GMS: {
        "Minus": "({0}) - ({1})",
        "Div": "({0}) / ({1})",
        "Inv": "1 / ({0})",
        "Log": "jnp.log({0})",
        "Arcsin": "jnp.arcsin({0})",
        "Arccos": "jnp.arccos({0})",
        "Gd": "_gudermannian({0})",
        "Alf": "_algebraic({0})",
        "Erf": "jax.scipy.special.erf({0})",
        "Erfc": "jax.scipy.special.erfc({0})",
    },
    _CSE: {
        "Sub": "({0}) - ({1})",
        "Div": "({0}) / (({1}) + 1e-20)",
        "Exp": "jnp.exp(jnp.minimum({0}, 88.0))",
        "Log": "jnp.log(({0}) + 1e-20)",
        "Gd": "(2 / jnp.pi * _gudermannian(jnp.pi * ({0}) / 4) + 1) / 2",
        "Alf": "(_algebraic(({0}) / 2) + 1) / 2",
        "Erf": "(jax.scipy.special.erf(jnp.pi**0.5 * ({0}) / 4) + 1) / 2",
        "Erfc": "jax.scipy.special.erfc(jnp.pi**0.5 * ({0}) / 4) / 2",
    },
}

_HELPERS = {
    "_log": '''
def _log(x):
    """Logarithm of |x| with the sign of x, finite at 0."""
    return jnp.sign(x) * jnp.log(jnp.abs(x) + 1e-12)
''',
    "_sqrt": '''
def _sqrt(x):
    """Square root of |x| with the sign of x, its slope finite at 0."""
    return jnp.sign(x) * jnp.sqrt(jnp.abs(x) + 1e-12)
''',
    "_sigmoid": '''
def _sigmoid(x):
    """1 / (1 + exp(-x)) without overflow."""
    return jnp.exp(-jnp.logaddexp(0, -x))
''',
    "_relu": '''
def _relu(x):
    """max(x, 0) with slope 0 at 0."""
    return jnp.where(x <= 0, 0, x)
''',
    "_gudermannian": '''
def _gudermannian(x):
    """An S-curve between -pi/2 and pi/2."""
    return 2 * jnp.arctan(jnp.tanh(x / 2))
''',
    "_algebraic": '''
def _algebraic(x):
    """An S-curve between -1 and 1."""
    return x / jnp.sqrt(1 + x * x)
''',
    "_mean_c": '''
def _mean_c(x):
    """Mean over the channels, at every channel."""
    return jnp.broadcast_to(jnp.mean(x, axis=-1, keepdims=True), x.shape)
''',
    "_mean_nhw": '''
def _mean_nhw(x, mask):
    """Mean over the valid positions, per channel, at every position."""
    count = jnp.sum(mask.astype(x.dtype))
    total = jnp.sum(jnp.where(mask, x, 0), axis=(0, 1, 2), keepdims=True)
    return jnp.broadcast_to(total / jnp.maximum(count, 1), x.shape)
''',
    "_max_pooling": '''
def _max_pooling(x, mask):
    """Maximum over the valid part of each 3x3 window; ties share the gradient evenly; 0 where a window is void."""
    height, width = x.shape[1:3]
    if height == width == 1:
        return jnp.where(mask, x, 0)

    def windows(array, fill):
        padded = jnp.pad(array, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=fill)
        return jnp.stack([padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)])

    largest = jnp.max(windows(jnp.where(mask, x, -jnp.inf), -jnp.inf), axis=0)
    return jnp.where(jnp.any(windows(mask, False), axis=0), largest, 0)
''',
}


def template(operator_set: str, operator: str) -> str:
    """The Python expression of an operator. Raises `KeyError` for an operator that has none."""
    return _OF_SET[operator_set].get(operator) or _EVERYWHERE[operator]


def helpers_of(code: str) -> str:
    """The source of the helper functions that `code` calls."""
    return "\n".join(source for name, source in _HELPERS.items() if re.search(rf"\b{name}\(", code))
