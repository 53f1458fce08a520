"""Losses in Keras 3, whatever its backend."""

from jaxloss.symbolic.frameworks.dialect import Dialect, renamed

_SAME = ("exp", "log", "sqrt", "sin", "cos", "tanh", "abs", "sign", "floor", "ceil", "where", "full_like", "broadcast_to")
_SAME += ("reshape", "stack", "take", "sum", "mean", "any", "max", "arcsin", "arccos", "arctan", "clip", "maximum", "minimum")
_SAME += ("logaddexp", "pad", "log1p", "expm1", "square", "min", "arctan2", "concatenate")


def _cast(x: str, dtype: str | None = None) -> str:
    if dtype is None:
        return f"ops.convert_to_tensor({x})"
    return f"ops.cast({x}, {_dtype(dtype)})"


def _dtype(text: str) -> str:
    return '"bool"' if text == "bool" else text


def _ones_like(x: str, dtype: str | None = None) -> str:
    return f"ops.ones_like({x}" + (f", dtype={_dtype(dtype)})" if dtype else ")")


_CHECK = """
def _check(cases):
    for function, arrays, value, _ in cases:
        found = function(**{name: ops.convert_to_tensor(numbers, dtype="float64") for name, numbers in arrays.items()})
        np.testing.assert_allclose(ops.convert_to_numpy(found), value, rtol=1e-6, atol=1e-9)
"""

_OF_LABELS = '''
class Loss(keras.losses.Loss):
    """The loss of labels and logits, for `model.compile(loss=Loss())`: labels [N] or [N, H, W], logits [N, C] or [N, H, W, C]."""

    def __init__(self, name="found_loss", **options):
        super().__init__(name=name, **options)

    def call(self, y_true, y_pred):
        """A number for each sample, or position."""
        logits = y_pred
        labels = y_true[..., 0] if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1 else y_true
        target = ops.one_hot(ops.cast(labels, "int32"), logits.shape[-1], dtype=logits.dtype)
        return ops.sum(loss_values(ARGUMENTS), axis=-1)
'''

KERAS = Dialect(
    name="keras",
    imports={"keras": "import keras", "np": "import numpy as np", "ops": "from keras import ops"},
    calls={
        **{f"jnp.{name}": renamed(f"ops.{name}") for name in _SAME},
        "jnp.asarray": _cast,
        "jnp.ones_like": _ones_like,
        "jax.nn.softmax": renamed("ops.softmax"),
        "jax.nn.log_softmax": renamed("ops.log_softmax"),
        "jax.nn.sigmoid": renamed("ops.sigmoid"),
        "jax.nn.softplus": lambda x: f"ops.logaddexp({x}, 0)",
        "jax.nn.logsumexp": renamed("ops.logsumexp"),
        "jax.scipy.special.erf": renamed("ops.erf"),
        # There is no other: from 6 on (4 in float32) it is exactly 0.
        "jax.scipy.special.erfc": lambda x: f"(1 - ops.erf({x}))",
        "jax.lax.stop_gradient": renamed("ops.stop_gradient"),
    },
    names={"jnp.inf": "math.inf", "jnp.pi": "math.pi", "jnp.int32": '"int32"'},
    methods={"astype": _cast, "reshape": lambda x, *sizes: f"ops.reshape({x}, ({', '.join(sizes)}))"},
    shape=lambda x: f"ops.shape({x})",
    of_labels=_OF_LABELS,
    check=_CHECK,
    check_words="values are those of JAX",
)
