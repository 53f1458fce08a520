"""AutoLoss-GMS: margin-based softmax losses of two searched curves, for retrieval and re-identification.

H. Gu et al.: Searching Generalized Margin-based Softmax Loss Function for Person Re-identification, CVPR 2022.
"""

from jaxloss.core.later import later
from jaxloss.systems.autoloss_gms.preset import PRESET
from jaxloss.systems.autoloss_gms.published import AUTOLOSS_GMS_FORMULAS
from jaxloss.systems.autoloss_gms.settings import AutoLossGMSSettings, ChooserSettings, PredictorSettings, PropertySettings
from jaxloss.systems.base import System

AUTOLOSS_GMS_SYSTEM = System(
    "autoloss_gms",
    AutoLossGMSSettings,
    later("jaxloss.systems.autoloss_gms.space:autoloss_gms"),
    sections=(PropertySettings, ChooserSettings, PredictorSettings),
    published=AUTOLOSS_GMS_FORMULAS,
    preset=PRESET,
)
