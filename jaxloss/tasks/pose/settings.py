"""What a task of keypoints is made of, as far as the user says it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.conditions import When, when
from jaxloss.core.errors import UserError
from jaxloss.core.settings import are_finite, are_positive, options, setting
from jaxloss.tasks.data.keypoints.augment import AFFINE, AFFINE_FLIP, AUGMENTATIONS, FLIP
from jaxloss.tasks.data.keypoints.load import KEYPOINT_SOURCES
from jaxloss.tasks.division_settings import DivisionSettings
from jaxloss.tasks.models.registry import POSE_MODELS, PRECISIONS
from jaxloss.tasks.pose.inputs import CENTRES, ROUNDED
from jaxloss.tasks.pose.measures import AP, AREAS, EXTENT, METRICS

SECTION = "task.pose"
READS = ("data_dir", "filters.rejection.minimum_gain")
LIGHT = "light_pose"
WITH_BACKBONE = (When(f"{SECTION}.model", lambda name: name != LIGHT, "a network with a backbone"),)
FLIPPED = (when(f"{SECTION}.augmentation", FLIP, AFFINE_FLIP),)
MOVED = (when(f"{SECTION}.augmentation", AFFINE, AFFINE_FLIP),)
GIVEN, COCO = CONSTANTS = ("given", "coco")


@dataclasses.dataclass(frozen=True)
class PoseSettings(DivisionSettings, section=SECTION, reads=READS):
    """Keypoints of a human or an animal: one subject an image, a map for each keypoint, average precision or correct keypoints.

    Raises:
      UserError: for settings that do not fit together.
    """

    source: str = setting("npz:keypoints.npz", f"Where images and keypoints come from: {', '.join(KEYPOINT_SOURCES)}")
    source_options: Mapping[str, str] = options("What only this kind of source has, such as its folder of images")
    image_size: tuple[int, int] = setting(
        (0, 0),
        "(height, width) that images are stretched to, or persons of COCO cut out in, with keypoints; (0, 0): as they are",
    )
    model: str = setting(LIGHT, "The network", choices=POSE_MODELS)
    model_options: Mapping[str, Any] = options("Attributes of the network, such as output_stride")
    pretrained: str = setting(
        "",
        "A .safetensors file with ImageNet weights of the backbone (timm or torchvision names)",
        acts_when=WITH_BACKBONE,
    )
    # Parameters, statistics of BatchNorm, the last layer and the loss are float32 in either case.
    precision: str = setting("float32", "What the network computes in", choices=PRECISIONS)
    sigma: float = setting(2.0, "Standard deviation of the targets, in positions of a map", low=0.1, high=1e3)
    centre: str = setting(
        ROUNDED,
        "Where a target has its peak: at the position nearest to the keypoint (rounded, Xiao et al., ECCV 2018), or exact, "
        "between positions",
        choices=CENTRES,
    )
    augmentation: str = setting("none", "Of training images and their keypoints", choices=AUGMENTATIONS)
    flip_pairs: Mapping[str, str] = options(
        "Keypoint on the left -> the one on the right that it is taken for in a mirror; others stay what they are",
        acts_when=FLIPPED,
    )
    rotation: float = setting(40.0, "The most degrees, either way", low=0.0, high=180.0, acts_when=MOVED)
    scaling: float = setting(0.3, "Images become 1 minus this to 1 plus this times as large", low=0.0, high=0.9, acts_when=MOVED)
    shift: float = setting(0.0, "The most, as a share of height and width, either way", low=0.0, high=1.0, acts_when=MOVED)
    # Fixed numbers rather than statistics of a training split: the compiled functions serve every division of the data.
    pixel_mean: float | Sequence[float] = setting(
        0.0, "Taken from every pixel, on the scale of 0 to 1; one number or one per channel", several=True, check=are_finite
    )
    pixel_deviation: float | Sequence[float] = setting(
        1.0, "What pixels are divided by then; one number or one per channel", several=True, check=are_positive
    )
    metric: str = setting(
        AP,
        "What the search maximises: average precision by COCO's evaluator (ap, ap50, ap75), mean similarity (oks), or the share "
        "of correct keypoints (pck); the others are shown beside it",
        choices=METRICS,
    )
    oks_constants: str = setting(
        GIVEN, "Of the similarity of keypoints: given by oks_sigmas, or those of COCO's seventeen", choices=CONSTANTS
    )
    oks_sigmas: float | Sequence[float] = setting(
        0.05,
        "How differently people place a keypoint, as a share of the root of the area; one number or one for each keypoint",
        several=True,
        check=are_positive,
        acts_when=(when(f"{SECTION}.oks_constants", GIVEN),),
    )
    oks_area: str = setting(
        EXTENT, "Of the subject: that of the box around its visible keypoints, or annotated in the file", choices=AREAS
    )
    pck_share: float = setting(
        0.1, "A keypoint is correct that is no farther off than this share of a length", low=1e-6, high=10.0
    )
    pck_length: float = setting(
        0.0,
        "This length, in pixels of the file; 0: the longer side of the box around the visible keypoints",
        low=0.0,
        high=1e9,
    )
    evaluation_batch: int = setting(
        50, "The most images that go through the network at once when it is scored", low=1, high=10**9
    )

    def __post_init__(self):
        super().__post_init__()
        if "dtype" in self.model_options:
            raise UserError(f"model_options has no dtype: what the network computes in is {SECTION}.precision")
        if "axis_name" in self.model_options:
            raise UserError("model_options has no axis_name: it is that of the devices which a batch is divided over")
