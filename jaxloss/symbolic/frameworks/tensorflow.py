"""Losses in TensorFlow 2."""

from jaxloss.core.errors import UserError
from jaxloss.symbolic.frameworks.dialect import Dialect, is_number, renamed

_SAME = ("where", "broadcast_to", "reshape", "stack", "maximum", "minimum", "pad")
_OF_MATH = ("exp", "log", "sqrt", "sin", "cos", "tanh", "abs", "sign", "floor", "ceil")
_OF_MATH += ("log1p", "expm1", "square")
_SUMS = ("sum", "mean", "any", "max", "min")

_SHAPE = '''
def _shape(x):
    """Sizes of a tensor, as numbers where they are known before it is computed."""
    sizes = tf.shape(x)
    return tuple(sizes[axis] if size is None else size for axis, size in enumerate(x.shape))
'''


def _dtype(text: str) -> str:
    return "tf.bool" if text == "bool" else text


def _cast(x: str, dtype: str) -> str:
    return f"tf.cast({x}, {_dtype(dtype)})"


def _as_array(x: str, dtype: str | None = None) -> str:
    if dtype == "bool":  # of integers, perhaps
        return _cast(x, dtype)
    # A cast would take a number through single precision.
    return f"tf.convert_to_tensor({x}" + (f", {dtype})" if dtype else ")")


def _ones_like(x: str, dtype: str | None = None) -> str:
    return f"tf.ones_like({x}" + (f", dtype={_dtype(dtype)})" if dtype else ")")


def _softmax(x: str, axis: str) -> str:
    if axis.startswith("("):
        raise UserError("the loss takes a softmax over several axes at once, for which the format tensorflow has nothing")
    return f"tf.nn.softmax({x}, axis={axis})"


def _logaddexp(x: str, y: str) -> str:
    if not (is_number(x) or is_number(y)):
        return f"tf.reduce_logsumexp(tf.stack([{x}, {y}]), axis=0)"
    return f"tf.nn.softplus({y if is_number(x) else x})"


_CHECK = """
def _check(cases):
    for function, arrays, value, gradient in cases:
        tensors = {name: tf.constant(numbers, tf.float64) for name, numbers in arrays.items()}
        first = next(iter(tensors.values()))
        with tf.GradientTape() as tape:
            tape.watch(first)
            found = function(**tensors)
        slope = tape.gradient(found, first, unconnected_gradients="zero")
        for ours, wanted in ((found, value), (slope, gradient)):
            np.testing.assert_allclose(ours, wanted, rtol=1e-6, atol=1e-9)
"""

TENSORFLOW = Dialect(
    name="tensorflow",
    imports={"np": "import numpy as np", "tf": "import tensorflow as tf"},
    calls={
        **{f"jnp.{name}": renamed(f"tf.{name}") for name in _SAME},
        **{f"jnp.{name}": renamed(f"tf.math.{name}") for name in _OF_MATH},
        **{f"jnp.{name}": renamed(f"tf.reduce_{name}") for name in _SUMS},
        "jnp.arcsin": renamed("tf.math.asin"),
        "jnp.arccos": renamed("tf.math.acos"),
        "jnp.arctan": renamed("tf.math.atan"),
        "jnp.clip": renamed("tf.clip_by_value"),
        "jnp.take": renamed("tf.gather"),
        "jnp.full_like": lambda x, value: f"tf.fill(_shape({x}), tf.cast({value}, {x}.dtype))",
        "jnp.logaddexp": _logaddexp,
        "jnp.asarray": _as_array,
        "jnp.ones_like": _ones_like,
        "jnp.arctan2": renamed("tf.math.atan2"),
        "jnp.concatenate": renamed("tf.concat"),
        "jax.nn.log_softmax": renamed("tf.nn.log_softmax"),
        "jax.nn.sigmoid": renamed("tf.math.sigmoid"),
        "jax.nn.softmax": _softmax,
        "jax.nn.softplus": renamed("tf.nn.softplus"),
        "jax.nn.logsumexp": renamed("tf.reduce_logsumexp"),
        "jax.scipy.special.erf": renamed("tf.math.erf"),
        "jax.scipy.special.erfc": renamed("tf.math.erfc"),
        "jax.lax.stop_gradient": renamed("tf.stop_gradient"),
    },
    names={"jnp.inf": "math.inf", "jnp.pi": "math.pi", "jnp.int32": "tf.int32"},
    methods={"astype": _cast, "reshape": lambda x, *sizes: f"tf.reshape({x}, ({', '.join(sizes)}))"},
    shape=lambda x: f"_shape({x})",
    helpers={"_shape": _SHAPE},
    check=_CHECK,
)
