"""What a task of object detection is made of, as far as the user says it."""

import dataclasses
from collections.abc import Sequence

from jaxloss.core.conditions import in_mode
from jaxloss.core.errors import UserError
from jaxloss.core.settings import are_finite, setting
from jaxloss.tasks.detection.common_settings import BoxTaskSettings
from jaxloss.tasks.detection.inputs import (
    AREA_UNITS,
    CENTRENESS,
    IOU,
    OF_TARGET,
    PROBABILITIES,
    QUALITY_TARGETS,
    REGRESSION_WEIGHTS,
    SIGMOID,
)
from jaxloss.tasks.models.registry import DETECTION_MODELS

SECTION = "task.detection"
READS = ("data_dir", "filters.rejection.variable", "filters.rejection.minimum_gain")


def _are_rising(key: str, values: Sequence[float]) -> None:
    are_finite(key, values)
    if any(high <= low for low, high in zip((0, *values), values, strict=False)):
        raise UserError(f"config key {key} must be numbers above 0 that rise, not {tuple(values)}")


@dataclasses.dataclass(frozen=True)
class DetectionSettings(BoxTaskSettings, section=SECTION, reads=READS):
    """Object detection: images with boxes, a network that predicts one at every location, average precision of COCO.

    Raises:
      UserError: for settings that do not fit together.
    """

    model: str = setting("tiny_fcos", "The network", choices=DETECTION_MODELS)
    probabilities: str = setting(
        SIGMOID,
        "Of the classes: sigmoid, each a question of its own (Tian et al., ICCV 2019), or softmax, with background as the last "
        "of them (Li et al., CVPR 2022): losses of a softmax, and those that read the target alone, need it",
        choices=PROBABILITIES,
    )
    size_limits: tuple[float, ...] = setting(
        (),
        "In pixels, one fewer than the network has levels: each level learns the boxes whose farthest side from a location lies "
        "between two of them; nothing: 8 strides of each level (Tian et al., ICCV 2019)",
        check=_are_rising,
    )
    centre_radius: float = setting(1.5, "Of centre sampling, in strides; 0: all locations in a box learn it", low=0.0, high=1e6)
    quality_target: str = setting(
        IOU,
        "What the quality that is predicted beside the classes learns: iou of the predicted box (Liu et al., ICLR 2021), or "
        "centreness of the location (Tian et al., ICCV 2019)",
        choices=QUALITY_TARGETS,
    )
    quality_weight: float = setting(
        1.0, "Of its cross-entropy, which every candidate is trained beside; 0: none", low=0.0, high=1e6
    )
    regression_weights: str = setting(
        CENTRENESS, "Of positive locations in the mean of the regression loss", choices=REGRESSION_WEIGHTS
    )
    area_unit: str = setting(
        OF_TARGET,
        "What intersection, union and enclosing area are measured in: target divides them by the area of the true box, so that "
        "no loss depends on the scale of objects; strides are squares of the level's stride, pixels those of the image",
        choices=AREA_UNITS,
    )
    rejection_locations: int = setting(
        0,
        "Of each image, drawn at random, that the rejection protocol optimises: its cost grows with them; 0: all",
        low=0,
        high=10**6,
        acts_when=(in_mode("search"),),
    )
