"""Numbers of a loss that a comparison tunes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TuningRange:
    """Where a hyper-parameter is tuned, and its customary value."""

    low: float
    high: float
    default: float
    logarithmic: bool = False
