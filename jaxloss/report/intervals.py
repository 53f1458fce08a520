"""Dot-and-whisker strips: where means and their intervals lie on an axis that all rows of a table share."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from jaxloss.report.words import MINUS


@dataclasses.dataclass(frozen=True)
class Mark:
    """A mean with its interval, in percent of the strip; `outside` is `left` or `right` where the mean does not fit."""

    mean: float
    low: float
    high: float
    outside: str = ""


@dataclasses.dataclass(frozen=True)
class Axis:
    """The range of a strip."""

    low: float
    high: float

    def percent(self, value: float) -> float:
        """Where a value lies, in percent of the strip."""
        return 100 * (value - self.low) / (self.high - self.low)

    def mark(self, mean: float, interval: Sequence[float]) -> Mark:
        """Where a mean and its interval are drawn; what reaches beyond the axis is cut."""
        low, high = (min(max(self.percent(value), 0.0), 100.0) for value in interval)
        outside = "left" if mean < self.low else "right" if mean > self.high else ""
        return Mark(min(max(self.percent(mean), 0.0), 100.0), low, high, outside)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """`(percent, text)` of a few round values."""
        values = [
            value
            for value in MaxNLocator(nbins=5, steps=[1, 2, 5, 10], min_n_ticks=3).tick_values(self.low, self.high)
            if self.low <= value <= self.high
        ]
        digits = max(0, -math.floor(math.log10(np.diff(values).min()) + 1e-9)) if len(values) > 1 else 3
        return [(self.percent(value), f"{value + 0.0:.{digits}f}".replace("-", MINUS)) for value in values]


def score_axis(rows: Sequence[Mapping[str, Any]]) -> Axis:
    """The axis of the comparison: all tuned intervals, unless a straggler would press the others into one dot."""
    tuned = [row["tuned"] for row in rows]
    means = [result["test_mean"] for result in tuned]
    best, middle = max(means), float(np.median(means))
    low = max(min(result["test_ci95"][0] for result in tuned), best - max(4 * (best - middle), 0.02))
    high = max(result["test_ci95"][1] for result in tuned)
    untuned = [row["untuned"]["test_mean"] for row in rows]
    low = min([low, *(value for value in untuned if value >= low - (high - low))])
    return _padded(low, high)


def difference_axis(rows: Sequence[Mapping[str, Any]], margin: float) -> Axis:
    """The axis of the differences: zero, the margin, and all intervals within four times the typical one."""
    ends = [abs(end) for row in rows for end in row["ci95"]]
    bound = 4 * float(np.median(ends))
    low = max(min([-1.5 * margin, *(row["ci95"][0] for row in rows)]), -bound)
    high = min(max([1.5 * margin, *(row["ci95"][1] for row in rows)]), max(bound, 1.5 * margin))
    return _padded(min(low, -1.5 * margin), high)


def _padded(low: float, high: float) -> Axis:
    pad = 0.05 * (high - low) or 0.01
    return Axis(low - pad, high + pad)
