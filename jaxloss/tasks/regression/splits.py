"""The splits of a regression task as arrays: divided, with outliers, standardised by the training split."""

from collections.abc import Mapping

import numpy as np

from jaxloss.tasks.base import SPLITS, TRAIN
from jaxloss.tasks.data.image_splits import divide
from jaxloss.tasks.regression.settings import RegressionSettings
from jaxloss.tasks.regression.source import MeasuredSource

INPUT, TARGET, MEAN, DEVIATION = "input", "target", "mean", "deviation"


def make_splits(source: MeasuredSource, settings: RegressionSettings, division: int) -> dict[str, dict[str, np.ndarray]]:
    """Split -> arrays.

    The outliers are put into the training targets first: targets are standardised by what is trained on, as with data whose
    outliers nobody knows.

    Args:
      source: with a test set.
      settings: with an `outlier_seed`.
      division: of the data.

    Returns:
      Each split has `input` `[M, ...]`, `target` `[M, K]`, standardised, and `mean` and `deviation` `[M, K]` of the training
      targets, the same in all rows: `target * deviation + mean` is in the units of the source.
    """
    parts = divide(source, settings, division)
    targets = {name: part.targets for name, part in parts.items()}
    targets[TRAIN] = with_outliers(
        targets[TRAIN], settings.outlier_share, settings.outlier_scale, (settings.outlier_seed, division)
    )
    inputs = {name: part.inputs for name, part in parts.items()}
    if settings.standardise_inputs and inputs[TRAIN].ndim == 2:
        statistics = mean_and_deviation(inputs[TRAIN])
        inputs = {name: _standardised(part, *statistics) for name, part in inputs.items()}
    mean, deviation = mean_and_deviation(targets[TRAIN])
    return {
        name: {
            INPUT: inputs[name],
            TARGET: _standardised(targets[name], mean, deviation),
            MEAN: np.broadcast_to(mean, targets[name].shape),
            DEVIATION: np.broadcast_to(deviation, targets[name].shape),
        }
        for name in SPLITS
    }


def with_outliers(targets: np.ndarray, share: float, scale: float, seed: tuple[int, ...]) -> np.ndarray:
    """Targets `[M, K]` of which a share has errors added, normal ones of `scale` standard deviations of the targets."""
    generator = np.random.default_rng(seed)
    rows = generator.choice(len(targets), round(share * len(targets)), replace=False)
    changed = targets.copy()
    errors = scale * mean_and_deviation(targets)[1] * generator.standard_normal((len(rows), targets.shape[1]))
    changed[rows] += errors.astype(np.float32)
    return changed


def mean_and_deviation(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each column, float32 `[K]`; the deviation of a constant is 1."""
    deviation = values.std(axis=0, dtype=np.float64)
    return values.mean(axis=0, dtype=np.float64).astype(np.float32), np.where(deviation > 0, deviation, 1.0).astype(np.float32)


def _standardised(values: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    return ((values - mean) / deviation).astype(np.float32)


def num_outliers(settings: RegressionSettings, splits: Mapping[str, Mapping[str, np.ndarray]]) -> int:
    """How many training targets have an error."""
    return round(settings.outlier_share * len(splits[TRAIN][TARGET]))
