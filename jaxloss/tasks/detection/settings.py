"""What a task of object detection is made of, as far as the user says it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.conditions import When, in_mode, unless, when
from jaxloss.core.errors import UserError
from jaxloss.core.settings import are_finite, options, setting
from jaxloss.tasks.data.boxes.augment import BOX_AUGMENTATIONS
from jaxloss.tasks.detection.common_settings import BoxTaskSettings, fitting_of
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
TINY = "tiny_fcos"
AUGMENTED = (unless(f"{SECTION}.augmentation", "none"),)
WITH_BACKBONE = (When(f"{SECTION}.model", lambda name: name != TINY, "a network with a backbone"),)
FCOS, ATSS = ASSIGNMENTS = ("fcos", "atss")
WITH_FCOS, WITH_ATSS = ((when(f"{SECTION}.assignment", name),) for name in ASSIGNMENTS)


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

    fitting: str = fitting_of(SECTION)
    model: str = setting(TINY, "The network", choices=DETECTION_MODELS)
    pretrained: str = setting(
        "",
        "A .safetensors file with ImageNet weights of the backbone (timm or torchvision names)",
        acts_when=WITH_BACKBONE,
    )
    probabilities: str = setting(
        SIGMOID,
        "Of the classes: sigmoid, each a question of its own (Tian et al., ICCV 2019), or softmax, with background as the last "
        "of them (Li et al., CVPR 2022): losses of a softmax, and those that read the target alone, need it",
        choices=PROBABILITIES,
    )
    assignment: str = setting(
        FCOS,
        "Which locations learn a box: fcos, those near its centre on the level of its size (Tian et al., ICCV 2019), or atss, "
        "those whose anchors overlap it most among the nearest of all levels (Zhang et al., CVPR 2020)",
        choices=ASSIGNMENTS,
    )
    size_limits: tuple[float, ...] = setting(
        (),
        "In pixels, one fewer than the network has levels: each level learns the boxes whose farthest side from a location lies "
        "between two of them; nothing: 8 strides of each level (Tian et al., ICCV 2019)",
        check=_are_rising,
        acts_when=WITH_FCOS,
    )
    centre_radius: float = setting(
        1.5, "Of centre sampling, in strides; 0: all locations in a box learn it", low=0.0, high=1e6, acts_when=WITH_FCOS
    )
    nearest_locations: int = setting(9, "On each level, that are candidates for a box", low=1, high=10_000, acts_when=WITH_ATSS)
    anchor_size: float = setting(
        8.0, "Side of the square around a location whose overlap decides, in strides", low=0.1, high=1e3, acts_when=WITH_ATSS
    )
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
    augmentation: str = setting("none", "Of training images and their boxes", choices=BOX_AUGMENTATIONS)
    augmentation_options: Mapping[str, Any] = options(
        "Of the augmentation: crop_size, scales and mirror of scale_crop_flip", acts_when=AUGMENTED
    )
    rejection_locations: int = setting(
        0,
        "Of each image, drawn at random, that the rejection protocol optimises: its cost grows with them; 0: all",
        low=0,
        high=10**6,
        acts_when=(in_mode("search"),),
    )
