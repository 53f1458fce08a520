"""Means and their confidence intervals."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean with its 95% confidence interval (Student's t)."""

    mean: float
    low: float
    high: float
    deviation: float
    count: int


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean and 95% interval of independent values; without width where there is only one."""
    values = np.asarray(values, float)
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, mean, mean, 0.0, len(values))
    deviation = float(np.std(values, ddof=1))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * deviation / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half, deviation, len(values))
