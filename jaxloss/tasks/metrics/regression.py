"""Metrics of regression, the higher the better, in [0, 1]: what is worse than to predict the mean counts as 0."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.settings import is_known_or
from jaxloss.core.types import Array


def r2(predictions: Array, targets: Array) -> Array:
    """The coefficient of determination, mean over the targets; a negative one of a target counts as 0.

    Args:
      predictions: `[M, K]`.
      targets: `[M, K]`.

    Returns:
      A scalar in [0, 1]; 0 for a target that is constant.
    """
    residual = jnp.square(predictions - targets).sum(axis=0)
    total = jnp.square(targets - targets.mean(axis=0, keepdims=True)).sum(axis=0)
    shares = jnp.where(total > 0, 1 - residual / jnp.where(total > 0, total, 1.0), 0.0)
    return jnp.maximum(shares, 0.0).mean()


def spearman(predictions: Array, targets: Array) -> Array:
    """Spearman's rank correlation, mean over the targets; equal values share their ranks, a negative correlation counts as 0.

    Args:
      predictions: `[M, K]`.
      targets: `[M, K]`.

    Returns:
      A scalar in [0, 1]; 0 where predictions or targets are constant; NaN where a prediction is.
    """
    ranks = [_ranks(values) for values in (predictions, targets)]
    one, other = (each - each.mean(axis=0, keepdims=True) for each in ranks)
    norms = jnp.sqrt(jnp.square(one).sum(axis=0) * jnp.square(other).sum(axis=0))
    correlations = jnp.where(norms > 0, (one * other).sum(axis=0) / jnp.where(norms > 0, norms, 1.0), 0.0)
    broken = jnp.isnan(predictions).any(axis=0)
    return jnp.where(broken, jnp.nan, jnp.clip(correlations, 0.0, 1.0)).mean()


def inverse_mae(predictions: Array, targets: Array) -> Array:
    """The mean absolute error turned round, `1 / (1 + MAE)`: 1 without an error, 1/2 for an error of one unit of the targets.

    Args:
      predictions: `[M, K]`.
      targets: `[M, K]`.

    Returns:
      A scalar in [0, 1].
    """
    return 1 / (1 + jnp.abs(predictions - targets).mean())


def _ranks(values: Array) -> Array:
    """Of each column: how many are below, and half of those that are equal. `[M, K]`."""
    columns = [jnp.sort(column) for column in values.T]
    sides = [[jnp.searchsorted(ordered, column, side=side) for side in ("left", "right")]
             for ordered, column in zip(columns, values.T, strict=True)]  # fmt: skip
    return jnp.stack([(low + high) / 2 for low, high in sides], axis=1)


R2 = "r2"
METRICS: Mapping[str, Callable[[Array, Array], Array]] = {R2: r2, "spearman": spearman, "inverse_mae": inverse_mae}
# What they are called elsewhere.
ALIASES: Mapping[str, str] = {"r2_score": R2, "spearmanr": "spearman"}
# Those of scikit-learn, too, some of which are called so there.
_ERRORS = ("mae", "mse", "rmse", *(f"{sign}{name}" for sign in ("", "neg_") for name in (
    "mean_absolute_error", "mean_squared_error", "root_mean_squared_error"
)))  # fmt: skip


def check_metric(key: str, name: str) -> None:
    """Refuses a name that no metric has.

    Raises:
      UserError: lists the metrics; for errors, which fall as networks get better, names what takes their place.
    """
    if name in _ERRORS:
        raise UserError(
            f"{key} has to rise as networks get better: in place of '{name}' take inverse_mae, which is 1 / (1 + MAE)"
            f"{'' if 'absolute' in name or name == 'mae' else ', or r2, one minus the squared error over the variance'}"
        )
    is_known_or([*METRICS, *ALIASES], "module:function")(key, name)
