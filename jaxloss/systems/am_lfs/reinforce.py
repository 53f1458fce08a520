"""The Gaussian that losses are drawn from, and REINFORCE for its mean (Eq. 19 and 20, Section 4.1).

Eq. 20 is read as what REINFORCE is: the mean goes up along the reward times the gradient of log g *with respect to the mean*,
which is `(theta - mu) / variance`. As printed, with respect to theta, the sign would be the opposite.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from jaxloss.spaces.distribution import Distribution, DistributionState
from jaxloss.systems.am_lfs.form import ROWS, Theta, as_theta
from jaxloss.systems.am_lfs.members import MEMBERS, fitted
from jaxloss.systems.am_lfs.schedule import write_schedule
from jaxloss.systems.am_lfs.settings import VARIANCE, AMLFSSettings


def deviation_of(settings: AMLFSSettings) -> float:
    """The standard deviation of every number."""
    return math.sqrt(settings.sigma) if settings.sigma_is == VARIANCE else settings.sigma


def start_of(settings: AMLFSSettings) -> Theta:
    """The mean before anything is learned."""
    return as_theta(fitted(MEMBERS[settings.start], settings.num_intervals))


def draw(settings: AMLFSSettings, generator: np.random.Generator, mean: np.ndarray) -> Theta:
    """One theta (Eq. 19) around a mean `[4, M]`, or as many numbers in a row."""
    mean = np.asarray(mean, np.float64).reshape(len(ROWS), -1)
    return as_theta(mean + deviation_of(settings) * generator.standard_normal(mean.shape))


def normalised(rewards: np.ndarray) -> np.ndarray:
    """Rewards `[B]` with zero mean and unit variance (Section 4.1); zeros where all are the same."""
    centred = rewards - rewards.mean()
    deviation = rewards.std()
    # Equal rewards have the deviation of their rounding.
    return centred / deviation if deviation > 1e-12 * max(1.0, np.abs(rewards).max()) else np.zeros_like(centred)


def score_function(thetas: np.ndarray, mean: np.ndarray, deviation: float) -> np.ndarray:
    """The gradient of `log g(theta; mu, sigma)` with respect to mu, `[B, D]`."""
    return (thetas - mean) / deviation**2


def make_distribution(settings: AMLFSSettings, branch: str) -> Distribution:
    """The distribution of the losses of one branch."""
    deviation, optimiser = deviation_of(settings), optax.adam(settings.mean_learning_rate)

    def start() -> dict[str, Any]:
        mean = np.ravel(np.asarray(start_of(settings), np.float32))
        return _state(mean, optimiser.init(mean))

    def sample(state: DistributionState, generator: np.random.Generator, count: int) -> list[dict[str, Theta]]:
        return [{branch: draw(settings, generator, state["mean"])} for _ in range(count)]

    def update(state: DistributionState, candidates: Sequence[Mapping[str, Theta]], rewards: np.ndarray) -> dict[str, Any]:
        """Networks that were stopped say nothing: the others are normalised and averaged among themselves."""
        finite = np.isfinite(rewards)
        thetas = np.array([np.ravel(one[branch]) for one in candidates], np.float64)[finite]
        mean = np.asarray(state["mean"], np.float32)
        weights = normalised(np.asarray(rewards, np.float64)[finite])
        gradient = np.mean(weights[:, None] * score_function(thetas, mean, deviation), axis=0).astype(np.float32)
        # Optax descends.
        updates, adam = optimiser.update(-gradient, _adam(state, optimiser.init(mean)))
        return _state(np.asarray(optax.apply_updates(mean, updates)), adam)

    def centre(state: DistributionState) -> dict[str, Theta]:
        return {branch: as_theta(np.array(state["mean"]))}

    def numbers(state: DistributionState) -> dict[str, Sequence[float]]:
        return dict(zip(ROWS, np.reshape(state["mean"], (len(ROWS), -1)).tolist(), strict=True))

    def schedule(stages: Sequence[tuple[float, Mapping[str, Theta]]], docstring: str) -> str:
        return write_schedule([(epochs, candidate[branch]) for epochs, candidate in stages], settings, docstring)

    return Distribution(start, sample, update, centre, numbers, schedule)


def _state(mean: np.ndarray, adam: Any) -> dict[str, Any]:
    """As JSON values: a float32 comes back as the same bits."""
    return {"mean": mean.tolist(), "adam": [np.asarray(leaf).tolist() for leaf in jax.tree.leaves(adam)]}


def _adam(state: DistributionState, like: Any) -> Any:
    leaves, structure = jax.tree.flatten(like)
    stored = [np.asarray(value, leaf.dtype) for value, leaf in zip(state["adam"], leaves, strict=True)]
    return jax.tree.unflatten(structure, stored)
