"""What all tasks in two stages are made of, as far as the user says it: anchors, samples, proposals."""

import dataclasses
from collections.abc import Sequence

from jaxloss.core.conditions import When
from jaxloss.core.errors import UserError
from jaxloss.core.settings import are_finite, are_positive, setting
from jaxloss.tasks.detection.common_settings import BoxTaskSettings
from jaxloss.tasks.detection.inputs import OF_TARGET, PIXELS


def _are_sizes(key: str, values: Sequence[float]) -> None:
    if not len(values):
        raise UserError(f"config key {key} must have one number at least")
    are_positive(key, values)


def _are_four(key: str, values: Sequence[float]) -> None:
    if len(values) != 4:
        raise UserError(f"config key {key} must be four numbers, of x, y, width and height, not {tuple(values)}")
    are_finite(key, values)


def _are_four_deviations(key: str, values: Sequence[float]) -> None:
    _are_four(key, values)
    are_positive(key, values)


def pretrained_of(section: str, tiny: str) -> str:
    """The key `pretrained` of a section, which acts where the network is another than the tiny one."""
    return setting(
        "",
        "A .safetensors file with ImageNet weights of the backbone (timm or torchvision names)",
        acts_when=(When(f"{section}.model", lambda name: name != tiny, "a network with a backbone"),),
    )


@dataclasses.dataclass(frozen=True)
class RegionSettings(BoxTaskSettings, section=""):
    """What the settings of all tasks in two stages have; a task adds its section, `model`, `pretrained` and `fitting`.

    Raises:
      UserError: for settings that do not fit together.
    """

    # A window of another size than the image would need anchors of its own.
    augmentation: str = setting("none", "Of training images and their boxes", choices=("none", "flip"))
    area_unit: str = setting(
        OF_TARGET,
        "What intersection, union and enclosing area are measured in: target divides them by the area of the true box, so that "
        "no loss depends on the scale of objects; pixels are those of the image",
        choices=(OF_TARGET, PIXELS),
    )
    anchor_scales: tuple[float, ...] = setting((8.0,), "Roots of the areas of anchors, in strides of a level", check=_are_sizes)
    anchor_ratios: tuple[float, ...] = setting((0.5, 1.0, 2.0), "Height over width of anchors", check=_are_sizes)
    rpn_positive_iou: float = setting(0.7, "From which on an anchor is positive", low=0.0, high=1.0)
    rpn_negative_iou: float = setting(0.3, "Below which an anchor is background", low=0.0, high=1.0)
    rpn_best_iou: float = setting(
        0.3, "From which on the anchors that overlap a box most are positive in any case", low=0.0, high=1.0
    )
    rpn_samples: int = setting(256, "Anchors of an image that are trained on", low=2, high=100_000)
    rpn_positive_share: float = setting(0.5, "Of these, the most that are positive", low=0.0, high=1.0)
    rpn_deviations: tuple[float, ...] = setting(
        (1.0, 1.0, 1.0, 1.0), "That deltas from anchors are divided by", check=_are_four_deviations
    )
    proposal_candidates: int = setting(
        1000, "The surest anchors of each level that go into non-maximum suppression", low=1, high=100_000
    )
    proposal_iou: float = setting(0.7, "The most that two proposals of one level overlap", low=0.0, high=1.0)
    num_proposals: int = setting(1000, "Of an image", low=1, high=100_000)
    rcnn_positive_iou: float = setting(0.5, "From which on a proposal is positive; below it is background", low=0.0, high=1.0)
    rcnn_samples: int = setting(512, "Proposals of an image that are trained on", low=2, high=100_000)
    rcnn_positive_share: float = setting(0.25, "Of these, the most that are positive", low=0.0, high=1.0)
    rcnn_means: tuple[float, ...] = setting((0.0, 0.0, 0.0, 0.0), "That deltas from proposals are lessened by", check=_are_four)
    rcnn_deviations: tuple[float, ...] = setting(
        (0.1, 0.1, 0.2, 0.2), "That deltas from proposals are divided by", check=_are_four_deviations
    )

    def __post_init__(self):
        super().__post_init__()
        if self.rpn_negative_iou > self.rpn_positive_iou:
            raise UserError(
                f"{self.key('rpn_negative_iou')} ({self.rpn_negative_iou}) must not be above rpn_positive_iou "
                f"({self.rpn_positive_iou}): an anchor would be both"
            )
