"""The losses of a training, epoch by epoch, as one Python file that stands alone."""

from collections.abc import Sequence

from jaxloss.symbolic.python_source import assemble
from jaxloss.systems.am_lfs.form import Theta
from jaxloss.systems.am_lfs.settings import AMLFSSettings
from jaxloss.systems.am_lfs.source import CURVES, head

_LOSS = '''
# (epochs that are done when it ends, theta [4, M]), in order.
SCHEDULE = [
{stages}]


def theta_at(epoch):
    """Theta [4, M] after so many epochs, a number that may be traced; beyond the end, the last one."""
    ends = jnp.array([end for end, _ in SCHEDULE])
    thetas = jnp.array([theta for _, theta in SCHEDULE])
    return thetas[jnp.minimum(jnp.searchsorted(ends, epoch, side="right"), len(SCHEDULE) - 1)]


def loss({similarity}, target, epoch):
    """The loss, a scalar: the mean over samples.

    Args:
      {similarity}: [N, C].
      target: one-hot, [N, C].
      epoch: epochs that are done, from 0.
    """
    return jnp.mean(values_of(theta_at(epoch), {similarity}, target))
'''


def write_schedule(stages: Sequence[tuple[float, Theta]], settings: AMLFSSettings, docstring: str) -> str:
    """The text of the module.

    Args:
      stages: (epochs that are done when it ends, theta), in order.
      settings: of the space.
      docstring: of the module.
    """
    lines = "".join(f"    ({float(end)!r}, {[list(row) for row in theta]!r}),\n" for end, theta in stages)
    body = _LOSS.format(stages=lines, similarity=settings.similarity)
    return assemble(docstring, head(settings) + CURVES + body, ())
