"""AutoLoss-GMS: margin-based softmax losses of two searched curves, for retrieval and re-identification.

H. Gu et al.: Searching Generalized Margin-based Softmax Loss Function for Person Re-identification, CVPR 2022.
"""

from jaxloss.systems.autoloss_gms.predictor.chooser import ChooserSettings
from jaxloss.systems.autoloss_gms.predictor.predictor import PredictorSettings
from jaxloss.systems.autoloss_gms.preset import PRESET
from jaxloss.systems.autoloss_gms.properties import PropertySettings
from jaxloss.systems.autoloss_gms.published import AUTOLOSS_GMS_FORMULAS
from jaxloss.systems.autoloss_gms.settings import AutoLossGMSSettings
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.systems.base import System

AUTOLOSS_GMS_SYSTEM = System(
    "autoloss_gms",
    AutoLossGMSSettings,
    autoloss_gms,
    sections=(PropertySettings, ChooserSettings, PredictorSettings),
    published=AUTOLOSS_GMS_FORMULAS,
    preset=PRESET,
)
