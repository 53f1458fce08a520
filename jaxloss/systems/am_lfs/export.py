"""A loss of piecewise-linear curves as a Python file that stands alone."""

from collections.abc import Callable

from jaxloss.symbolic.python_source import assemble
from jaxloss.symbolic.reading import Reading
from jaxloss.systems.am_lfs.form import PiecewiseForm, Theta
from jaxloss.systems.am_lfs.settings import AMLFSSettings
from jaxloss.systems.am_lfs.source import CURVES, head

_LOSS = '''
THETA = {theta}


def t(x):
    """The curve over the similarity of the own class, of any shape."""
    return piecewise_t(jnp.asarray(THETA, x.dtype), x)


def log_tau(log_p):
    """log(tau(p)) of log(p), of any shape."""
    return piecewise_log_tau(jnp.asarray(THETA, log_p.dtype), log_p)


def loss({similarity}, target):
    """The loss, a scalar: the mean over samples.

    Args:
      {similarity}: [N, C].
      target: one-hot, [N, C].
    """
    return jnp.mean(loss_values({similarity}, target))


def loss_values({similarity}, target):
    """The loss of every sample, [N]."""
    return values_of(jnp.asarray(THETA, {similarity}.dtype), {similarity}, target)
'''


def make_write_python(settings: AMLFSSettings) -> Callable[[Reading, str], str]:
    """`(reading, docstring) -> module`, see `Space.write_python`."""
    form = PiecewiseForm(settings)

    def write_python(reading: Reading, docstring: str) -> str:
        theta = form.parse(reading.text)
        body = _LOSS.format(theta=_written(theta), similarity=settings.similarity)
        return assemble(docstring, head(settings) + CURVES + body, ())

    return write_python


def _written(theta: Theta) -> str:
    """Theta as Python, a row a line."""
    return "[\n" + "".join(f"    {list(row)!r},\n" for row in theta) + "]"
