"""AutoLoss-Zero: loss graphs from primitive operators, from scratch, for any task and metric.

H. Li et al.: AutoLoss-Zero: Searching Loss Functions from Scratch for Generic Tasks, CVPR 2022.
"""

from jaxloss.core.later import later
from jaxloss.search.presets import STRONG
from jaxloss.systems.autoloss_zero.published import (
    AUTOLOSS_ZERO_BOX_FORMULAS,
    AUTOLOSS_ZERO_FORMULAS,
    AUTOLOSS_ZERO_STAGE_FORMULAS,
    SETTINGS_OF_LOSS,
)
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.base import System

AUTOLOSS_ZERO_SYSTEM = System(
    "autoloss_zero",
    AutoLossZeroSettings,
    later("jaxloss.systems.autoloss_zero.space:autoloss_zero"),
    published={**AUTOLOSS_ZERO_FORMULAS, **AUTOLOSS_ZERO_BOX_FORMULAS, **AUTOLOSS_ZERO_STAGE_FORMULAS},
    published_settings=SETTINGS_OF_LOSS,
    # A copy is never trained again: beside it, more candidates compete.
    search_presets={STRONG: {"space.autoloss_zero.copy_probability": 0.0, "space.autoloss_zero.term_probability": 0.3}},
)
