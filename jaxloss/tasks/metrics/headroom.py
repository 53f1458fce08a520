"""Rejection problems that leave room for the gain that a candidate has to show."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.problem import RejectionProblem, metric_of_samples
from jaxloss.core.types import Array, PyTree

ATTEMPTS = 100


def initial_metric(problem: RejectionProblem) -> float:
    """Mean metric of the samples before any optimisation."""
    return float(_mean_metric(problem.metric, problem.start, problem.context))


@functools.partial(jax.jit, static_argnums=0)
def _mean_metric(metric: Callable[[Array, PyTree], Array], start: Array, context: PyTree) -> Array:
    return jnp.mean(metric_of_samples(metric, start, context))


def draw_with_headroom(
    draw: Callable[[Array], RejectionProblem], key: Array, minimum_gain: float, margin: float = 0.0, attempts: int = ATTEMPTS
) -> RejectionProblem:
    """Draws samples until the metric can still rise by `minimum_gain + margin` (at most by 1).

    An untrained network is right by chance. On five samples of which two are right no loss can gain more than 0.6, so that
    an unlucky draw would reject every candidate there is.

    Args:
      draw: `(key) -> RejectionProblem`.
      key: the draws use `fold_in(key, 0)`, `fold_in(key, 1)` and so on.
      minimum_gain: the gain of the mean metric that the rejection protocol asks for.
      margin: headroom beyond that, so that a good loss may miss a sample.
      attempts: the most draws.

    Returns:
      The first problem with headroom.

    Raises:
      UserError: when no draw has it.
    """
    needed = min(minimum_gain + margin, 1.0)
    lowest = 1.0
    for attempt in range(attempts):
        problem = draw(jax.random.fold_in(key, attempt))
        if isinstance(problem.start, jax.core.Tracer):
            return problem  # abstract evaluation asks for shapes, which all draws share
        metric = initial_metric(problem)
        if 1.0 - metric >= needed - 1e-6:  # 1 - 0.4 is less than 0.6 in float32
            return problem
        lowest = min(lowest, metric)
    raise UserError(
        f"no headroom for the rejection protocol: in {attempts} draws of {len(problem.start)} samples the untrained network's "
        f"metric is {lowest:.2f} or more, so no loss can gain {needed:.2f}. "
        "Raise filters.rejection.num_samples or lower filters.rejection.minimum_gain"
    )
