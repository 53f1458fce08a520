"""What a task of detection in two stages is made of, as far as the user says it."""

import dataclasses

from jaxloss.core.settings import setting
from jaxloss.tasks.detection.common_settings import fitting_of
from jaxloss.tasks.models.registry import TWO_STAGE_MODELS
from jaxloss.tasks.two_stage_detection.common_settings import RegionSettings, pretrained_of

TINY = "tiny_faster_rcnn"
SECTION = "task.two_stage_detection"
READS = ("data_dir", "filters.rejection.variable", "filters.rejection.minimum_gain")


@dataclasses.dataclass(frozen=True)
class TwoStageDetectionSettings(RegionSettings, section=SECTION, reads=READS):
    """Object detection in two stages, as Faster R-CNN: regions that may hold an object, then their classes and boxes.

    Raises:
      UserError: for settings that do not fit together.
    """

    model: str = setting(TINY, "The network", choices=TWO_STAGE_MODELS)
    pretrained: str = pretrained_of(SECTION, TINY)
    fitting: str = fitting_of(SECTION)
