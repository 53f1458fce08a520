"""A margin-based softmax loss as a Python file that stands alone, written from its two graphs."""

from jaxloss.spaces.margin_softmax import LOG2_SCALE
from jaxloss.symbolic.python_source import assemble, helpers_of, statements_of
from jaxloss.symbolic.reading import Reading

_HEAD = """
LOG2_SCALE = {log2_scale!r}
"""

_CURVE = '''
def {name}(x):
    """The curve of {whose}, over cosines of any shape."""
{statements}
    return jnp.broadcast_to(values, x.shape)
'''

_LOSS = '''
def loss(cosine, target, log2_scale=LOG2_SCALE):
    """The loss, a scalar: the mean over samples.

    Args:
      cosine: [N, C], of an embedding to the directions of all classes (or to the other samples of a batch).
      target: [N, C], 1 for the own class (or for samples of the same class), else 0.
      log2_scale: base-2 logarithm of the scale.
    """
    return jnp.mean(loss_values(cosine, target, log2_scale))


def loss_values(cosine, target, log2_scale=LOG2_SCALE):
    """The loss of every sample, [N]: log(1 + sum over others of e^(s n) * sum over own of e^(-s t))."""
    own, scale = target > 0.5, 2.0**log2_scale
    # A curve sees a harmless number where it is not meant: an infinite slope there would make the gradient NaN.
    to_own = jnp.where(own, -scale * t(jnp.where(own, cosine, 0.5)), -jnp.inf)
    to_other = jnp.where(own, -jnp.inf, scale * n(jnp.where(own, 0.5, cosine)))
    return jax.nn.softplus(jax.nn.logsumexp(to_own, axis=-1) + jax.nn.logsumexp(to_other, axis=-1))
'''

_WHOSE = {"t": "the own class", "n": "all other classes"}


def write_python(reading: Reading, docstring: str) -> str:
    """The text of a Python module with the functions `t`, `n`, `loss` and `loss_values`.

    Args:
      reading: of the loss: the formulas `t` and `n`, and the number `log2_s`.
      docstring: of the module: the formulas, and how they were found.
    """
    functions = "".join(
        "\n" + _CURVE.format(name=name, whose=_WHOSE[name], statements="\n".join("    " + line for line in statements_of(curve)))
        for name, curve in reading.formulas.items()
    )
    body = _HEAD.format(log2_scale=float(reading.numbers[LOG2_SCALE])) + functions + "\n" + _LOSS
    return assemble(docstring, body, helpers_of(reading.formulas.values()))
