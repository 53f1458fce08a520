"""The space, inputs for its losses, and an independent reference in NumPy, float64."""

import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import LossInputs
from jaxloss.systems.am_lfs.settings import AMLFSSettings
from jaxloss.systems.am_lfs.space import am_lfs

SPACE = am_lfs()
COSINES = am_lfs(AMLFSSettings(branch="identity", similarity="cosine"))
FORM, COSINE_FORM = SPACE.branches[0].form, COSINES.branches[0].form


def samples(low, high, seed=0, count=40, num_classes=5):
    """Similarities float32 `[N, C]`, and labels `[N]`."""
    random = np.random.default_rng(seed)
    return random.uniform(low, high, (count, num_classes)).astype(np.float32), random.integers(num_classes, size=count)


def inputs_of(name, similarity, labels):
    target = np.eye(similarity.shape[-1], dtype=np.float32)[labels]
    return LossInputs.create({name: jnp.asarray(similarity)[:, None, None], "target": jnp.asarray(target)[:, None, None]})


def interval_of(x, low, high, count, borders="upper"):
    """The interval of Eq. 17 by its definition: looked for from end point to end point."""
    ends = [low + (high - low) * index / count for index in range(count + 1)]
    for index in range(count):
        inside = ends[index] <= x < ends[index + 1] if borders == "upper" else ends[index] < x <= ends[index + 1]
        if inside:
            return index
    return 0 if x <= low else count - 1


def reference(theta, similarity, labels, settings=None):
    """`-log tau(p)` of every sample by Eq. 10, 16 and 17, and every p."""
    settings = settings or AMLFSSettings()
    theta, scale = np.asarray(theta, float), settings.scale
    slopes = np.maximum(theta[[0, 2]], settings.lowest_slope)
    losses, probabilities = [], []
    for row, label in zip(np.asarray(similarity, float), labels, strict=True):
        x = row if settings.similarity == "cosine" else row / scale
        own = x[label] if settings.outside == "continue" else np.clip(x[label], -1, 1)
        index = interval_of(own, -1, 1, theta.shape[1], settings.borders)
        logits = scale * x
        logits[label] = scale * (slopes[0, index] * own + theta[1, index])
        p = np.exp(logits[label] - logits.max()) / np.exp(logits - logits.max()).sum()
        index = interval_of(p, 0, 1, theta.shape[1], settings.borders)
        tau = slopes[1, index] * p + theta[3, index]
        if theta[3, index] != 0:
            tau = max(tau, settings.tau_floor)
        losses.append(-np.log(min(tau, 1) if settings.tau_ceiling == "clamp" else tau))
        probabilities.append(p)
    return np.array(losses), np.array(probabilities)
