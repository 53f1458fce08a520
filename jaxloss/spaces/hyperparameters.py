"""Numbers of a loss that a comparison tunes."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class TuningRange:
    """Where a hyper-parameter is tuned, its customary value, and between what it has to be.

    Attributes:
      low: the lowest value that is tried.
      high: the highest.
      default: the value that people use.
      logarithmic: whether ratios of it count, not differences.
      above: the loss is none at this value and below it.
      below: the same of this value and above it.
    """

    low: float
    high: float
    default: float
    logarithmic: bool = False
    above: float = -math.inf
    below: float = math.inf
