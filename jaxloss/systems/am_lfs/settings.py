"""The numbers of AM-LFS (ICCV 2019), Sections 3.3 and 4.1, and what the paper leaves open."""

import dataclasses

from jaxloss.core.settings import Settings, setting
from jaxloss.systems.am_lfs.members import MEMBERS, SOFTMAX

LOGITS, COSINE = SIMILARITIES = ("logits", "cosine")
CONTINUE, CLAMP = OUTSIDE = ("continue", "clamp")
KEEP = "keep"
UPPER, LOWER = BORDERS = ("upper", "lower")
DEVIATION, VARIANCE = SPREADS = ("deviation", "variance")


@dataclasses.dataclass(frozen=True)
class AMLFSSettings(Settings, section="space.am_lfs"):
    """Piecewise-linear curves inside of a softmax, and the Gaussian that they are drawn from (AM-LFS, ICCV 2019)."""

    branch: str = setting("classification", "Name of the loss branch; identity in retrieval")
    similarity: str = setting(LOGITS, "What the task offers of a sample and each class", choices=SIMILARITIES)
    # A power of two, so that a logit that is divided by it and multiplied again is the same number.
    scale: float = setting(
        16.0, "`s`: what cosines are multiplied with; of logits, where the domain of t ends: t sees logit / s", low=1e-3, high=1e4
    )
    num_intervals: int = setting(6, "`M`, equal intervals of the domain of t and of that of tau", low=1, high=1_000)
    sigma: float = setting(0.2, "Of the Gaussian, fixed", low=1e-6, high=1e3)
    sigma_is: str = setting(DEVIATION, "What sigma is: N(mu, sigma I) leaves it open", choices=SPREADS)
    mean_learning_rate: float = setting(0.05, "`eta`, of Adam for the mean", low=1e-9, high=1e3)
    start: str = setting(SOFTMAX, "The loss that the mean is at first", choices=MEMBERS)
    # Of cosines there is nothing outside.
    outside: str = setting(
        CONTINUE, "t outside its domain: its first and last piece go on, or it keeps its end values", choices=OUTSIDE
    )
    # Eq. 17 gives a border to both of its intervals.
    borders: str = setting(UPPER, "The interval that a point between two of them belongs to", choices=BORDERS)
    # Both curves are any function with positive gradient (below Eq. 15).
    lowest_slope: float = setting(0.0, "Slopes below are raised to it: both curves are to rise", low=-1e3, high=1.0)
    # log(tau) needs it; the smaller, the larger the gradients where tau crosses it.
    tau_floor: float = setting(
        0.01,
        "Where tau would be lower it is this, and the sample has no gradient; a piece through 0 has no floor",
        low=1e-6,
        high=0.5,
    )
    tau_ceiling: str = setting(
        KEEP, "tau above 1: kept, the loss is then negative, or 1 without a gradient", choices=(KEEP, CLAMP)
    )
