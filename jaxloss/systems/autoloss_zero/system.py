"""AutoLoss-Zero: loss graphs from primitive operators, from scratch, for any task and metric.

H. Li et al.: AutoLoss-Zero: Searching Loss Functions from Scratch for Generic Tasks, CVPR 2022.
"""

from jaxloss.core.later import later
from jaxloss.systems.autoloss_zero.published import AUTOLOSS_ZERO_FORMULAS
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.base import System

AUTOLOSS_ZERO_SYSTEM = System(
    "autoloss_zero",
    AutoLossZeroSettings,
    later("jaxloss.systems.autoloss_zero.space:autoloss_zero"),
    published=AUTOLOSS_ZERO_FORMULAS,
)
