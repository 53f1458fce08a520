"""What a task of instance segmentation is made of, as far as the user says it."""

import dataclasses

from jaxloss.core.settings import setting
from jaxloss.tasks.data.instances.load import INSTANCE_SOURCES
from jaxloss.tasks.detection.common_settings import METRICS as OF_DETECTION
from jaxloss.tasks.detection.common_settings import fitting_of
from jaxloss.tasks.models.registry import INSTANCE_MODELS
from jaxloss.tasks.two_stage_detection.common_settings import RegionSettings, pretrained_of

TINY = "tiny_mask_rcnn"
SECTION = "task.instance_segmentation"
READS = ("data_dir", "filters.rejection.variable", "filters.rejection.minimum_gain")
# By masks, and of boxes for comparison.
BOX_METRICS = ("box_ap", "box_ap50")
METRICS = (*OF_DETECTION, *BOX_METRICS)


@dataclasses.dataclass(frozen=True)
class InstanceSegmentationSettings(RegionSettings, section=SECTION, reads=READS):
    """Instance segmentation, as Mask R-CNN: detection in two stages, and the mask of every object that is found.

    Raises:
      UserError: for settings that do not fit together.
    """

    source: str = setting("npz:instances.npz", f"Where images and masks come from: {', '.join(INSTANCE_SOURCES)}")
    model: str = setting(TINY, "The network", choices=INSTANCE_MODELS)
    pretrained: str = pretrained_of(SECTION, TINY)
    fitting: str = fitting_of(SECTION)
    metric: str = setting(
        "ap",
        "What the search maximises, as COCO's evaluator computes it: by masks, or of boxes; the others are shown beside it",
        choices=METRICS,
    )
    mask_resolution: int = setting(
        112, "Cells along each side of a true box, in which its mask is kept for training", low=2, high=1024
    )
    mask_sampling: int = setting(
        2, "Points along each side of a cell of a mask that is learnt, at which the true mask is looked at", low=1, high=16
    )
