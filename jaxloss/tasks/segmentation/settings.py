"""What a task of semantic segmentation is made of, as far as the user says it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.conditions import When, in_mode, unless
from jaxloss.core.errors import UserError
from jaxloss.core.settings import are_pixels, are_positive, is_known_or, options, setting
from jaxloss.tasks.data.masks.augment import MASK_AUGMENTATIONS
from jaxloss.tasks.data.masks.frame import FITTINGS, STRETCH
from jaxloss.tasks.data.masks.load import MASK_SOURCES
from jaxloss.tasks.data.stream import DEVICE, TRAINING_DATA
from jaxloss.tasks.division_settings import DivisionSettings
from jaxloss.tasks.metrics.segmentation.boundary_rule import COUNTED, PAPERS_RULE, VOID_RULES, BoundaryRule
from jaxloss.tasks.metrics.segmentation.registry import METRICS
from jaxloss.tasks.metrics.segmentation.training_targets import CUSTOMARY, TRAINING_TARGETS
from jaxloss.tasks.models.registry import PRECISIONS, SEGMENTATION_MODELS

SECTION = "task.segmentation"
READS = ("data_dir", "filters.rejection.variable", "filters.rejection.minimum_gain")
LIGHT = "light_unet"
RESIZED = (unless(f"{SECTION}.image_size", (0, 0)),)
AUGMENTED = (unless(f"{SECTION}.augmentation", "none"),)
# The light network is trained from scratch and has one head; what a network of the user's has is not known.
WITH_BACKBONE = (
    When(f"{SECTION}.model", lambda name: name in SEGMENTATION_MODELS and name != LIGHT, "a network with a backbone"),
)
IN_SEARCH = (in_mode("search"),)


@dataclasses.dataclass(frozen=True)
class SegmentationSettings(DivisionSettings, section=SECTION, reads=READS):
    """Semantic segmentation: images with a class for each pixel, a network for dense prediction, one of six metrics.

    Raises:
      UserError: for settings that do not fit together.
    """

    source: str = setting("folder:masks", f"Where images and masks come from: {', '.join(MASK_SOURCES)}")
    source_options: Mapping[str, str] = options("What only this kind of source has, such as its table of colours")
    download: bool = setting(False, "Whether a source may fetch what is absent")
    image_size: tuple[int, int] = setting((0, 0), "(height, width) that images and masks are brought to; (0, 0): as they are")
    fitting: str = setting(STRETCH, "How they are brought to their size", choices=FITTINGS, acts_when=RESIZED)
    model: str = setting(
        LIGHT,
        f"The network: one of {', '.join(SEGMENTATION_MODELS)}, or module:factory, of a Linen or NNX module",
        check=is_known_or(SEGMENTATION_MODELS, "module:factory"),
    )
    model_options: Mapping[str, Any] = options("Attributes of the network, such as output_stride, or arguments of its factory")
    pretrained: str = setting(
        "",
        "A .safetensors file with ImageNet weights of the backbone (timm or torchvision names)",
        acts_when=WITH_BACKBONE,
    )
    # Parameters, statistics of BatchNorm, the last layers, their softmax and the loss are float32 in either case.
    precision: str = setting("float32", "What the network computes in", choices=PRECISIONS)
    auxiliary_weight: float = setting(
        0.4,
        "Of the cross-entropy of the auxiliary head on the labels, which every candidate is trained beside; 0: none "
        "(Zhao et al., CVPR 2017)",
        low=0.0,
        high=1e6,
        acts_when=WITH_BACKBONE,
    )
    augmentation: str = setting("none", "Of training images and their masks", choices=MASK_AUGMENTATIONS)
    augmentation_options: Mapping[str, Any] = options(
        "Of the augmentation: crop_size, scales and mirror of scale_crop_flip", acts_when=AUGMENTED
    )
    # Fixed numbers rather than statistics of a training split: the compiled functions serve every division of the data.
    pixel_mean: float | Sequence[float] = setting(
        0.0,
        "Taken from every pixel, on the scale of 0 to 1; one number or one per channel. Padding is of this colour",
        several=True,
        check=are_pixels,
    )
    pixel_deviation: float | Sequence[float] = setting(
        1.0, "What pixels are divided by then; one number or one per channel", several=True, check=are_positive
    )
    metric: str = setting("mean_iou", "What the search maximises; the others are shown beside it", choices=METRICS)
    trimap_width: int = setting(
        PAPERS_RULE.trimap_width, "Of the band of the boundary IoU, on each side of a boundary, in pixels", low=0, high=10_000
    )
    tolerance: int = setting(
        PAPERS_RULE.tolerance, "Of the boundary F1: a boundary is met by one so far away, in pixels", low=0, high=10_000
    )
    void: str = setting(
        COUNTED,
        "counted: positions beside void lie on a boundary, as in PASCAL VOC, whose void separates objects; ignored: void is "
        "unlabelled ground",
        choices=VOID_RULES,
    )
    training_target: str = setting(
        "",
        "What candidates learn from: labels, edges (their boundaries) or band (the labels around these); empty: the customary "
        f"one of the metric, {', '.join(dict.fromkeys(CUSTOMARY.values()))}. Hand-crafted losses learn from labels",
        choices=("", *TRAINING_TARGETS),
    )
    rejection_window: tuple[int, int] = setting(
        (0, 0),
        "(height, width) of the part of an image that the rejection protocol optimises: its cost grows with it; (0, 0): all",
        acts_when=IN_SEARCH,
    )
    evaluation_batch: int = setting(
        50, "The most images that go through the network at once when it is scored", low=1, high=10**9
    )
    training_data: str = setting(
        DEVICE, "On the device, or streamed where they do not fit: read ahead of the steps", choices=TRAINING_DATA
    )

    def __post_init__(self):
        super().__post_init__()
        if "dtype" in self.model_options:
            raise UserError(f"model_options has no dtype: what the network computes in is {SECTION}.precision")
        if "axis_name" in self.model_options:
            raise UserError("model_options has no axis_name: it is that of the devices which a batch is divided over")

    @property
    def rule(self) -> BoundaryRule:
        """What a boundary is, for metrics and targets."""
        return BoundaryRule(self.trimap_width, self.tolerance, self.void)

    @property
    def target(self) -> str:
        """The kind of the training target, in `training_targets.TRAINING_TARGETS`."""
        return self.training_target or CUSTOMARY[self.metric]
