"""CSE-Autoloss: losses of object detection from primitive operators, evolved from a loss that is known.

P. Liu et al.: Loss Function Discovery for Object Detection via Convergence-Simulation Driven Search, ICLR 2021.
"""

from jaxloss.core.later import later
from jaxloss.systems.base import System
from jaxloss.systems.cse_autoloss.preset import PRESET
from jaxloss.systems.cse_autoloss.published import CSE_AUTOLOSS_FORMULAS, SETTINGS_OF_LOSS
from jaxloss.systems.cse_autoloss.settings import CSEAutoLossSettings, VerificationSettings

CSE_AUTOLOSS_SYSTEM = System(
    "cse_autoloss",
    CSEAutoLossSettings,
    later("jaxloss.systems.cse_autoloss.space:cse_autoloss"),
    sections=(VerificationSettings,),
    published=CSE_AUTOLOSS_FORMULAS,
    published_settings=SETTINGS_OF_LOSS,
    preset=PRESET,
)
