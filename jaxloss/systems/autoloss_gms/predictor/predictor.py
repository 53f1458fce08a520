"""The performance predictor of AutoLoss-GMS (sections E and F): from the curves of a loss to its score on the proxy task.

    state = fit(settings, features, scores, seed)
    predictions = predict(state, features_of_others)

The whole training is one compiled call, whose number of steps is an argument, and rows are padded to whole buckets: a growing
set of evaluated losses compiles nothing new until it has outgrown its bucket.
"""

import functools
from collections.abc import Sequence

import flax.serialization
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, PyTree
from jaxloss.systems.autoloss_gms.predictor.features import FeatureScale
from jaxloss.systems.autoloss_gms.predictor.ranking import rank_loss
from jaxloss.systems.autoloss_gms.predictor.resnet1d import ResNet1D
from jaxloss.systems.autoloss_gms.settings import PredictorSettings

BUCKET_ROWS = 512
# Losses that one compiled call predicts.
PREDICTION_ROWS = 16


@flax.struct.dataclass
class PredictorState:
    """A fitted predictor.

    Attributes:
      settings: that it was fitted with (static).
      variables: parameters and running statistics of the network.
      feature_centre: `[3]`, see `FeatureScale`.
      feature_spread: `[3]`.
      score_centre: `[]` added to what the network gives, after
      score_spread: `[]` was multiplied with it.
    """

    settings: PredictorSettings = flax.struct.field(pytree_node=False)
    variables: PyTree
    feature_centre: np.ndarray
    feature_spread: np.ndarray
    score_centre: np.ndarray
    score_spread: np.ndarray


def fit(settings: PredictorSettings, features: np.ndarray, scores: Sequence[float | None], seed: int) -> PredictorState:
    """Trains a predictor from scratch. The same arguments give the same predictor, to the bit on one machine.

    Args:
      settings: of network and training.
      features: `[E, 3, points]`, see `features.curve_features`; may hold NaN and infinities.
      scores: `[E]`, higher is better; None, NaN or an infinity (a training that was stopped) counts as the worst score.
      seed: of the initial parameters and of the order of the rows.

    Raises:
      UserError: when no row has a score.
    """
    features, scores = np.asarray(features), finite_scores(scores)
    if features.ndim != 3 or len(features) != len(scores):
        raise ValueError(f"features [E, channels, points] of {len(scores)} scores expected, not {features.shape}")
    scale = FeatureScale.of(features)
    standardised = settings.score_scale == "standardised"
    score_centre = np.float32(scores.mean() if standardised else 0)
    score_spread = np.float32(scores.std() or 1 if standardised else 1)
    batches = row_order(len(scores), settings.num_epochs, settings.batch_size, seed)

    num_rows = _whole_buckets(len(scores))
    most_steps = -(-num_rows * settings.num_epochs // settings.batch_size)
    variables = train_network(
        settings,
        # This generator compiles in a third of the time of the default one.
        jax.random.key(seed, impl="rbg"),
        _padded(scale.apply(features), num_rows),
        _padded(((scores - score_centre) / score_spread).astype(np.float32), num_rows),
        _padded(batches, most_steps),
        np.int32(len(batches)),
    )
    return PredictorState(settings, jax.device_get(variables), scale.centre, scale.spread, score_centre, score_spread)


def predict(state: PredictorState, features: np.ndarray) -> np.ndarray:
    """Predicted scores `[M]` of features `[M, 3, points]`; BatchNorm uses its running statistics."""
    inputs = FeatureScale(state.feature_centre, state.feature_spread).apply(features)
    outputs = [
        apply_network(state.settings, state.variables, _padded(inputs[first : first + PREDICTION_ROWS], PREDICTION_ROWS))
        for first in range(0, len(inputs), PREDICTION_ROWS)
    ]
    joined = np.concatenate([np.asarray(output) for output in outputs])[: len(inputs)] if outputs else np.zeros(0, np.float32)
    return joined * state.score_spread + state.score_centre


def to_bytes(state: PredictorState) -> bytes:
    """A fitted predictor in MessagePack; the settings are not in it."""
    return flax.serialization.to_bytes(state)


def from_bytes(settings: PredictorSettings, stored: bytes) -> PredictorState:
    """The predictor that `to_bytes` stored, for the settings that it was fitted with.

    Raises:
      UserError: the network of these settings has other parameters.
    """
    state = flax.serialization.msgpack_restore(stored)
    expected = _shapes(settings)
    if jax.tree.map(np.shape, state["variables"]) != jax.tree.map(lambda leaf: leaf.shape, expected):
        raise UserError(
            f"the stored predictor is not a network of predictor.depth={settings.depth}, predictor.width={settings.width}, "
            f"predictor.hidden={settings.hidden}: give the settings that it was fitted with"
        )
    return PredictorState(settings=settings, **state)


def finite_scores(scores: Sequence[float | None]) -> np.ndarray:
    """Scores as float64 `[E]`, the worst of the finite ones in the place of None, NaN and infinities.

    Raises:
      UserError: when none is finite.
    """
    values = np.array([np.nan if score is None else score for score in scores], np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        raise UserError(
            f"the predictor has nothing to learn from: all {len(values)} evaluated trainings were stopped by NaN. "
            "A smaller training.learning_rate may help"
        )
    return np.where(finite, values, values[finite].min())


def row_order(num_rows: int, num_epochs: int, batch_size: int, seed: int) -> np.ndarray:
    """int32 `[steps, batch_size]`: shuffled epochs one behind the other, cut into full batches.

    A batch may reach into the next epoch: none is small (BatchNorm needs company) and no row is left out. The last one is
    filled from a further epoch.
    """
    generator = np.random.default_rng(seed)
    num_steps = -(-num_rows * num_epochs // batch_size)
    whole_epochs = -(-num_steps * batch_size // num_rows)
    rows = np.concatenate([generator.permutation(num_rows) for _ in range(whole_epochs)])
    return rows[: num_steps * batch_size].reshape(num_steps, batch_size).astype(np.int32)


def _whole_buckets(num_rows: int) -> int:
    return -(-num_rows // BUCKET_ROWS) * BUCKET_ROWS


def _padded(rows: np.ndarray, num_rows: int) -> np.ndarray:
    """Zeros behind; no step reads them."""
    return np.pad(rows, ((0, num_rows - len(rows)), *((0, 0) for _ in rows.shape[1:])))


def _shapes(settings: PredictorSettings) -> PyTree:
    """Shapes of the variables; they do not depend on the number of points."""
    network, curves = _network(settings), jax.ShapeDtypeStruct((1, 257, 3), np.float32)
    return jax.eval_shape(network.init, jax.random.key(0), curves)


@functools.partial(jax.jit, static_argnums=0)
def apply_network(settings: PredictorSettings, variables: PyTree, curves: Array) -> Array:
    """Predictions `[rows]` for curves `[rows, points, 3]`."""
    return _network(settings).apply(variables, curves)


@functools.partial(jax.jit, static_argnums=0)
def train_network(
    settings: PredictorSettings, key: Array, curves: Array, scores: Array, batches: Array, num_steps: Array
) -> PyTree:
    """Trained variables. `curves [rows, points, 3]`, `scores [rows]`, `batches [steps, batch]`: the first `num_steps` count."""
    network = _network(settings)
    optimiser = optax.sgd(settings.learning_rate, settings.momentum)

    def loss(params: PyTree, statistics: PyTree, rows: Array) -> tuple[Array, PyTree]:
        variables = {"params": params, "batch_stats": statistics}
        predicted, updated = network.apply(variables, curves[rows], train=True, mutable=["batch_stats"])
        error = jnp.mean((predicted - scores[rows]) ** 2)
        disorder = rank_loss(settings.rank_loss, predicted, scores[rows], settings.rank_temperature)
        return settings.regression_weight * error + settings.rank_weight * disorder, updated["batch_stats"]

    def step(index: Array, state: tuple[PyTree, PyTree, PyTree]) -> tuple[PyTree, PyTree, PyTree]:
        params, statistics, momenta = state
        gradients, statistics = jax.grad(loss, has_aux=True)(params, statistics, batches[index])
        updates, momenta = optimiser.update(gradients, momenta)
        return optax.apply_updates(params, updates), statistics, momenta

    variables = network.init(key, curves[:1])
    state = (variables["params"], variables["batch_stats"], optimiser.init(variables["params"]))
    params, statistics, _ = jax.lax.fori_loop(0, num_steps, step, state)
    return {"params": params, "batch_stats": statistics}


def _network(settings: PredictorSettings) -> ResNet1D:
    """The network, not yet initialised."""
    return ResNet1D(settings.depth, settings.width, settings.hidden)
