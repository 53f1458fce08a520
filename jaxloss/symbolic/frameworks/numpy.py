"""Losses in NumPy: their values, without a gradient."""

from jaxloss.symbolic.frameworks.dialect import Dialect, renamed

_SAME = ("exp", "log", "sqrt", "sin", "cos", "tanh", "abs", "sign", "floor", "ceil", "where", "full_like", "broadcast_to")
_SAME += ("reshape", "stack", "take", "sum", "mean", "any", "max", "arcsin", "arccos", "arctan", "clip", "maximum", "minimum")
_SAME += ("logaddexp", "asarray", "ones_like", "pad", "log1p", "expm1", "square", "min", "arctan2", "concatenate")

_SOFTMAX = '''
def _softmax(x, axis):
    """Shares that sum to one."""
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)
'''
_LOGSUMEXP = '''
def _logsumexp(x, axis, keepdims=False):
    """Logarithm of the sum of exponentials, without overflow."""
    return np.logaddexp.reduce(x, axis=axis, keepdims=keepdims)
'''
_LOG_SOFTMAX = '''
def _log_softmax(x, axis):
    """Logarithms of shares that sum to one."""
    x = x - np.max(x, axis=axis, keepdims=True)
    return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))
'''
_SIGMOID = '''
def _sigmoid(x):
    """Between 0 and 1, without overflow."""
    return np.exp(-np.logaddexp(0, -x))
'''
_ERF = '''
def _erf(x):
    """The error function."""
    return np.vectorize(math.erf, otypes=[x.dtype])(x)
'''
_ERFC = '''
def _erfc(x):
    """The complementary error function."""
    return np.vectorize(math.erfc, otypes=[x.dtype])(x)
'''

_CHECK = """
def _check(cases):
    for function, arrays, value, _ in cases:
        found = function(**{name: np.array(numbers) for name, numbers in arrays.items()})
        np.testing.assert_allclose(found, value, rtol=1e-6, atol=1e-9)
"""

NUMPY = Dialect(
    name="numpy",
    imports={"np": "import numpy as np"},
    calls={
        **{f"jnp.{name}": renamed(f"np.{name}") for name in _SAME},
        "jax.nn.softmax": renamed("_softmax"),
        "jax.nn.log_softmax": renamed("_log_softmax"),
        "jax.nn.sigmoid": renamed("_sigmoid"),
        "jax.nn.softplus": lambda x: f"np.logaddexp({x}, 0)",
        "jax.nn.logsumexp": renamed("_logsumexp"),
        "jax.scipy.special.erf": renamed("_erf"),
        "jax.scipy.special.erfc": renamed("_erfc"),
        "jax.lax.stop_gradient": lambda x: f"({x})",
    },
    names={"jnp.inf": "np.inf", "jnp.pi": "np.pi", "jnp.int32": "np.int32"},
    helpers={
        "_softmax": _SOFTMAX,
        "_log_softmax": _LOG_SOFTMAX,
        "_logsumexp": _LOGSUMEXP,
        "_sigmoid": _SIGMOID,
        "_erf": _ERF,
        "_erfc": _ERFC,
    },
    check=_CHECK,
    check_words="values are those of JAX",
)
