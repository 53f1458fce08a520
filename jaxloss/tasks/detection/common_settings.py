"""What all tasks of object detection are made of, as far as the user says it: images, boxes, pixels, the score."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.conditions import unless
from jaxloss.core.errors import UserError
from jaxloss.core.settings import are_pixels, are_positive, options, setting
from jaxloss.tasks.data.boxes.load import BOX_SOURCES
from jaxloss.tasks.data.masks.frame import FITTINGS, STRETCH
from jaxloss.tasks.data.stream import DEVICE, TRAINING_DATA
from jaxloss.tasks.division_settings import DivisionSettings
from jaxloss.tasks.models.registry import PRECISIONS

# As `detection.scoring` has them, which imports the evaluator; a test holds both together.
METRICS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")


def fitting_of(section: str) -> str:
    """The key `fitting` of a section, which acts where images are brought to a size."""
    return setting(
        STRETCH,
        "How they are brought to their size; in padding nothing is learnt and nothing found",
        choices=FITTINGS,
        acts_when=(unless(f"{section}.image_size", (0, 0)),),
    )


@dataclasses.dataclass(frozen=True)
class BoxTaskSettings(DivisionSettings, section=""):
    """What the settings of all tasks with boxes have; a task adds its section, its network and its rules.

    Raises:
      UserError: for settings that do not fit together.
    """

    source: str = setting("npz:boxes.npz", f"Where images and boxes come from: {', '.join(BOX_SOURCES)}")
    source_options: Mapping[str, str] = options("What only this kind of source has, such as its folder of images")
    download: bool = setting(False, "Whether a source may fetch what is absent")
    image_size: tuple[int, int] = setting((0, 0), "(height, width) that images and boxes are brought to; (0, 0): as they are")
    model_options: Mapping[str, Any] = options("Attributes of the network, such as channels")
    # Parameters, statistics of BatchNorm, the last layers and the loss are float32 in either case.
    precision: str = setting("float32", "What the network computes in", choices=PRECISIONS)
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
    evaluation_batch: int = setting(
        20, "The most images that go through the network at once when it is scored", low=1, high=10**9
    )

    training_data: str = setting(
        DEVICE, "On the device, or streamed where they do not fit: read ahead of the steps", choices=TRAINING_DATA
    )

    def __post_init__(self):
        super().__post_init__()
        if "dtype" in self.model_options:
            raise UserError(f"model_options has no dtype: what the network computes in is {self.key('precision')}")
        if "axis_name" in self.model_options:
            raise UserError("model_options has no axis_name: it is that of the devices which a batch is divided over")
