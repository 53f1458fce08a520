"""The most promising of several candidates, by what the gradients of those that were trained say (not in the papers).

A training sees of a loss nothing but the gradients of the network's outputs. A Gaussian process over these gradients, fitted to
the candidates that were trained so far, predicts how well another one trains, and how sure that is; candidates that cost only
their filters compete for each training.
"""

import statistics
from collections.abc import Callable, Sequence

import numpy as np

from jaxloss.search.base import Individual
from jaxloss.search.settings import SurrogateSettings
from jaxloss.spaces.output_gradients import OutputGradients

# A gradient as large as the root mean square of its loss is an angle of asinh(3): the small ones count too, where they lie in
# samples that the network has learned, or never will.
_STEEPNESS = 3.0
_LARGEST_LOGARITHM = 20.0
# Variance of a score that is the mean of all trainings of a candidate, where that of the candidates is 1.
_NOISE = 0.05

# `(points [P, D]) -> (means [P], standard deviations [P])`.
Prediction = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class SurrogateChooser:
    """Chooses what is trained, see `search.chooser.Chooser`.

    It depends on the candidates that were trained alone, so that a continued run chooses as an undisturbed one.
    """

    def __init__(self, gradients: OutputGradients, settings: SurrogateSettings):
        """Chooses by the gradients of candidates."""
        self._gradients, self._settings = gradients, settings
        self._features: dict[str, np.ndarray] = {}
        self._predict: Prediction | None = None
        self._num_fitted = 0

    def candidates(self, num_evaluated: int) -> int:
        """See `search.chooser.Chooser.candidates`."""
        return self._settings.candidates if num_evaluated >= self._settings.start_after else 1

    def choose(self, evaluated: Sequence[Individual], candidates: Sequence[str]) -> int:
        """The candidate with the best upper bound: its predicted score plus some standard deviations.

        How many is drawn for each generation, from an exponential distribution: most choices go on from what is good, some try
        what is unlike all that is known. A fixed number does the one or the other, and has to suit the task.
        """
        if len(evaluated) != self._num_fitted:
            self._predict, self._num_fitted = self._fitted(evaluated), len(evaluated)
        mean, deviation = self._predict(self._features_of(candidates))
        # Of many classes, the gradients of all that was ever passed over would fill the memory.
        kept = {*(one.text for one in evaluated), *candidates}
        self._features = {text: row for text, row in self._features.items() if text in kept}
        generator = np.random.default_rng([len(evaluated), *(one.number for one in evaluated[-1:])])
        return int(np.argmax(mean + self._settings.optimism * generator.exponential() * deviation))

    def _fitted(self, evaluated: Sequence[Individual]) -> Prediction:
        scores = normal_scores([one.fitness for one in evaluated])
        trainings = np.array([max(1, one.trainings) for one in evaluated])
        noise = _NOISE * trainings.max() / trainings
        return gaussian_process(self._features_of([one.text for one in evaluated]), scores, noise)

    def _features_of(self, texts: Sequence[str]) -> np.ndarray:
        """`[M, D]`."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._features]
        if missing:
            gradients = self._gradients([self._gradients.space.parse(text) for text in missing])
            self._features |= dict(zip(missing, features(gradients), strict=True))
        return np.stack([self._features[text] for text in texts])


def features(gradients: np.ndarray) -> np.ndarray:
    """What the gradients `[M, K, N, F]` of losses look like, float32 `[M, K * N * F + 1]`; their size is the last number."""
    finite = np.nan_to_num(gradients, nan=0.0, posinf=0.0, neginf=0.0)
    # Squares of what is at most 1 do not overflow.
    largest = np.abs(finite).max(axis=(1, 2, 3), keepdims=True)
    largest = np.where(largest > 0, largest, 1.0)
    scaled = finite / largest
    size = np.sqrt(np.mean(scaled**2, axis=(1, 2, 3), keepdims=True))
    size = np.where(size > 0, size, 1.0)
    direction = np.arcsinh(_STEEPNESS * scaled / size).reshape(len(gradients), -1)
    # An optimiser such as Adam hardly sees the size: it is one number among very many, and has bounds.
    logarithm = np.clip(np.log(size) + np.log(largest), -_LARGEST_LOGARITHM, _LARGEST_LOGARITHM)
    return np.concatenate([direction, logarithm.reshape(-1, 1)], axis=1).astype(np.float32)


def normal_scores(scores: Sequence[float]) -> np.ndarray:
    """The ranks of scores as quantiles of the standard normal distribution: how far the worthless lie behind says nothing.

    Equal scores share the mean of their ranks.
    """
    scores = np.asarray(scores)
    below = (scores[None] < scores[:, None]).sum(axis=1)
    equal = (scores[None] == scores[:, None]).sum(axis=1)
    normal = statistics.NormalDist()
    return np.array([normal.inv_cdf(place) for place in (below + equal / 2) / len(scores)])


def gaussian_process(known: np.ndarray, values: np.ndarray, noise: np.ndarray) -> Prediction:
    """Fits a Gaussian process with the kernel `exp(-distance / l)`, where `l` is the median distance of what is known.

    Args:
      known: `[M, D]`.
      values: `[M]`, with mean 0 and deviation 1 or nearly so.
      noise: `[M]`, variances of the values.

    """
    between = _distances(known, known)
    apart = between[~np.eye(len(known), dtype=bool)]
    length = max(float(np.median(apart)), 1e-6) if apart.size else 1.0
    inverse = np.linalg.inv(np.exp(-between / length) + np.diag(noise))
    weights = inverse @ values

    def predict(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kernel = np.exp(-_distances(points, known) / length)
        variances = 1.0 - np.einsum("pm,mn,pn->p", kernel, inverse, kernel, optimize=True)
        return kernel @ weights, np.sqrt(np.maximum(variances, 0.0))

    return predict


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean, `[A, B]`."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None] - 2.0 * first @ second.T
    return np.sqrt(np.maximum(squares, 0.0))
