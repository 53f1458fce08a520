"""What a task of object detection is made of, as far as the user says it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.conditions import Never, When, in_mode, unless, when
from jaxloss.core.errors import UserError
from jaxloss.core.settings import Settings, are_finite, are_pixels, are_positive, options, setting
from jaxloss.tasks.data.boxes.augment import BOX_AUGMENTATIONS
from jaxloss.tasks.data.boxes.load import BOX_SOURCES
from jaxloss.tasks.data.masks.frame import FITTINGS, STRETCH
from jaxloss.tasks.data.stream import DEVICE, TRAINING_DATA
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
from jaxloss.tasks.models.registry import DETECTION_MODELS, PRECISIONS

SECTION = "task.detection"
READS = ("data_dir", "filters.rejection.variable", "filters.rejection.minimum_gain")
DIVISIONS = (Never("a run divides its data as comparison.divisions says"),)
TINY = "tiny_fcos"
RESIZED = (unless(f"{SECTION}.image_size", (0, 0)),)
AUGMENTED = (unless(f"{SECTION}.augmentation", "none"),)
WITH_BACKBONE = (When(f"{SECTION}.model", lambda name: name != TINY, "a network with a backbone"),)
FCOS, ATSS = ASSIGNMENTS = ("fcos", "atss")
WITH_FCOS, WITH_ATSS = ((when(f"{SECTION}.assignment", name),) for name in ASSIGNMENTS)
# As `detection.scoring` has them, which imports the evaluator; a test holds both together.
METRICS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")


def _are_rising(key: str, values: Sequence[float]) -> None:
    are_finite(key, values)
    if any(high <= low for low, high in zip((0, *values), values, strict=False)):
        raise UserError(f"config key {key} must be numbers above 0 that rise, not {tuple(values)}")


@dataclasses.dataclass(frozen=True)
class DetectionSettings(Settings, section=SECTION, reads=READS):
    """Object detection: images with boxes, a network that predicts one at every location, average precision of COCO.

    Raises:
      UserError: for settings that do not fit together.
    """

    source: str = setting("npz:boxes.npz", f"Where images and boxes come from: {', '.join(BOX_SOURCES)}")
    source_options: Mapping[str, str] = options("What only this kind of source has, such as its folder of images")
    download: bool = setting(False, "Whether a source may fetch what is absent")
    image_size: tuple[int, int] = setting((0, 0), "(height, width) that images and boxes are brought to; (0, 0): as they are")
    fitting: str = setting(
        STRETCH,
        "How they are brought to their size; in padding nothing is learnt and nothing found",
        choices=FITTINGS,
        acts_when=RESIZED,
    )
    fractions: tuple[float, float, float] = setting((0.6, 0.2, 0.2), "Of train, search_eval and test")
    test_seed: int = setting(
        0,
        "Of the images that are held out for the test, where the source has no test set of its own; no other seed moves it",
        low=0,
        high=2**30,
    )
    division: int = setting(0, "Number of the division into train and search_eval", low=0, high=2**30, acts_when=DIVISIONS)
    block: int = setting(
        1,
        "So many neighbours in the order of the source stay in one split: frames of a film look like those beside them",
        low=1,
        high=10**6,
    )
    train_limit: int = setting(0, "The most training images; 0: all", low=0, high=10**9)
    search_eval_limit: int = setting(0, "The most images that a search is scored on; 0: all", low=0, high=10**9)
    test_limit: int = setting(0, "The most test images; 0: all", low=0, high=10**9)
    model: str = setting(TINY, "The network", choices=DETECTION_MODELS)
    model_options: Mapping[str, Any] = options("Attributes of the network, such as channels")
    pretrained: str = setting(
        "",
        "A .safetensors file with ImageNet weights of the backbone (timm or torchvision names)",
        acts_when=WITH_BACKBONE,
    )
    # Parameters, statistics of BatchNorm, the last layers and the loss are float32 in either case.
    precision: str = setting("float32", "What the network computes in", choices=PRECISIONS)
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
    metric: str = setting(
        "ap", "What the search maximises, as COCO's evaluator computes it; the others are shown beside it", choices=METRICS
    )
    minimum_score: float = setting(0.05, "Probability of a class that a location needs to be a detection", low=0.0, high=1.0)
    maximum_iou: float = setting(0.5, "Of two detections of one class", low=0.0, high=1.0)
    most_detections: int = setting(100, "Of an image; the evaluator looks at no more than 100", low=1, high=100)
    candidates: int = setting(
        400, "The surest pairs of location and class that go into non-maximum suppression", low=1, high=100_000
    )
    rejection_locations: int = setting(
        0,
        "Of each image, drawn at random, that the rejection protocol optimises: its cost grows with them; 0: all",
        low=0,
        high=10**6,
        acts_when=(in_mode("search"),),
    )
    evaluation_batch: int = setting(
        20, "The most images that go through the network at once when it is scored", low=1, high=10**9
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
