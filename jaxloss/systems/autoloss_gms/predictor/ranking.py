"""Order between predictions and scores: losses that train it, and coefficients that measure it."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from jaxloss.core.types import Array


def rank_loss(kind: str, predicted: Array, actual: Array, temperature: float) -> Array:
    """Mean over all pairs of a batch with different scores; `[]`, 0 where there is no such pair.

    With `d = (p_i - p_j) / temperature` for a pair of which row i has the higher score, `kendall` is `1 - tanh(d)` and
    `logistic` is `log(1 + exp(-d))`. The first is one minus Kendall's coefficient with a smooth sign: bounded, and flat for
    pairs that are far apart, rightly or wrongly. The second goes on pulling at pairs in the wrong order.

    Args:
      kind: a key of `PAIR_LOSSES`.
      predicted: `[N]`.
      actual: `[N]` scores, higher is better.
      temperature: `tau` of section F, in units of the predictions.
    """
    higher = actual[:, None] > actual[None, :]
    difference = (predicted[:, None] - predicted[None, :]) / temperature
    losses = jnp.where(higher, PAIR_LOSSES[kind](difference), 0)
    return losses.sum() / jnp.maximum(higher.sum(), 1)


PAIR_LOSSES: Mapping[str, Callable[[Array], Array]] = {
    "kendall": lambda difference: 1 - jnp.tanh(difference),
    "logistic": lambda difference: jax.nn.softplus(-difference),
}


def rank_correlation(predicted: np.ndarray, actual: np.ndarray) -> dict[str, float]:
    """Kendall's tau-b and Spearman's coefficient, `{'kendall', 'spearman'}`, each in [-1, 1].

    Both are NaN where one side is constant, or has fewer than two rows: then nothing can be said of the order.

    Args:
      predicted: `[M]`.
      actual: `[M]` finite scores, higher is better.

    Raises:
      ValueError: for different lengths.
    """
    predicted, actual = np.asarray(predicted), np.asarray(actual)
    if predicted.shape != actual.shape:
        raise ValueError(f"{predicted.shape} predictions for {actual.shape} scores")
    if min(len(np.unique(predicted)), len(np.unique(actual))) < 2:
        return {"kendall": float("nan"), "spearman": float("nan")}
    return {
        "kendall": float(scipy.stats.kendalltau(predicted, actual).statistic),
        "spearman": float(scipy.stats.spearmanr(predicted, actual).statistic),
    }
