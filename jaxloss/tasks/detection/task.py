"""Object detection: any source of images with boxes, a network with a box at every location, and COCO's average precision."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import Task
from jaxloss.tasks.context import NO_RUN, TaskContext
from jaxloss.tasks.data.boxes.source import CONTENT, IMAGE
from jaxloss.tasks.data.image_splits import divide
from jaxloss.tasks.data.preprocess import standardise
from jaxloss.tasks.detection.assembly import Detector, assemble
from jaxloss.tasks.detection.assignment import Assignment, FCOSAssignment
from jaxloss.tasks.detection.atss import ATSSAssignment
from jaxloss.tasks.detection.augmentation import make_box_augmentation, size_after
from jaxloss.tasks.detection.decoding import Decoder
from jaxloss.tasks.detection.inputs import CLASSIFICATION, OFFERS, RANGES, SOFTMAX, BoxInputs, auxiliary_losses, make_forward
from jaxloss.tasks.detection.locations import Locations
from jaxloss.tasks.detection.network import prepare_network
from jaxloss.tasks.detection.nms import Detections
from jaxloss.tasks.detection.output_samples import box_samples
from jaxloss.tasks.detection.rejection import make_problem
from jaxloss.tasks.detection.settings import ATSS, SECTION, DetectionSettings
from jaxloss.tasks.detection.splits import load_source
from jaxloss.tasks.models.detection.network import DetectionOutputs
from jaxloss.tasks.models.network import linen_network
from jaxloss.tasks.models.registry import make_detection_model
from jaxloss.tasks.user_options import options_of_the_user


def make_detection(settings: DetectionSettings, context: TaskContext = NO_RUN) -> Task:
    """A detection task.

    Every split of the data is `{'image': uint8 [N, H, W, 3], 'boxes': float32 [N, K, 4], 'labels': int32 [N, K], 'valid': bool
    [N, K], 'crowd': bool [N, K], 'content': float32 [N, 4]}`; boxes are left, top, right and bottom in pixels, and `content` is
    the box of the image without the padding around it. The images of `train` may be streamed.

    `forward` offers two branches, `[N, L, 1, C]` over the `L` locations of all levels: `classification` with `prediction`,
    `target` (one-hot; zeros for background, or a class more), `logits` and `overlap` (IoU of predicted and true box without a
    gradient, 1 for background), its sum divided by the number of positive locations; and `regression`, of positive locations
    alone, with `intersection`, `union`, `enclosing`, and the distances to the four sides. The quality of boxes is learnt beside
    them.

    Args:
      settings: of the task.
      context: the rest of the run: where data lie, and what the rejection protocol asks for.

    Raises:
      UserError: for absent or broken data, and for settings that do not suit them.

    References:
      Li et al., CVPR 2022, Section 4.2; Liu et al., ICLR 2021, Section 4; Tian et al., ICCV 2019.
    """
    source = load_source(settings, context)
    # An empty split is a mistake of its own.
    divide(source, settings, settings.division)
    prepare = functools.partial(standardise, mean=settings.pixel_mean, deviation=settings.pixel_deviation)
    augment = make_box_augmentation(settings)
    image_size = source.test.images.shape[1:3]
    training_size = size_after(augment, image_size, settings)
    background = settings.probabilities == SOFTMAX
    with options_of_the_user(f"{SECTION}.model_options", settings.model_options):
        options = {**settings.model_options, "dtype": settings.precision}
        network = make_detection_model(settings.model, source.num_classes, background, options)
        prepared = prepare_network(network, settings.pretrained, SECTION, (image_size, training_size))
    locations = Locations.create(training_size, network.strides)
    assignment, facts = _make_assignment(settings, network.strides)
    inputs = BoxInputs(
        source.num_classes,
        locations,
        assignment,
        settings.area_unit,
        settings.quality_target,
        settings.regression_weights,
        settings.probabilities,
    )
    decode = Decoder(
        Locations.create(image_size, network.strides),
        inputs.probability,
        source.num_classes,
        settings.minimum_score,
        settings.maximum_iou,
        settings.most_detections,
        settings.candidates,
    )

    def forward_over(axis_name: str | None):
        return make_forward(network.clone(axis_name=axis_name), prepare, inputs)

    def train(variables: PyTree, images: Array, key: Array) -> DetectionOutputs:
        return linen_network(network).train(variables, prepare(images), key)[0]

    def detect(variables: PyTree, examples: Mapping[str, Array]) -> Detections:
        return decode(linen_network(network).predict(variables, prepare(examples[IMAGE])), examples[CONTENT])

    asked = context.rejection_variable, context.rejection_minimum_gain
    detector = Detector(
        network=prepared,
        offers=OFFERS,
        ranges=RANGES,
        meanings=inputs.meanings,
        forward_over=forward_over,
        detect=detect,
        problem=make_problem(train, augment, inputs, settings.rejection_locations, *asked),
        output_samples=functools.partial(box_samples, inputs, network.strides),
        native_convolution=getattr(network, "convolution", "native") == "native",
        auxiliary_losses=auxiliary_losses(settings.quality_weight),
        independent_classes=() if background else (CLASSIFICATION,),
        details={
            "training_size": list(training_size),
            "strides": list(network.strides),
            "num_locations": len(locations),
            **facts,
            "probabilities": settings.probabilities,
            "quality_target": settings.quality_target,
            "area_unit": settings.area_unit,
            "network": settings.model,
            "pretrained": settings.pretrained or "no",
        },
    )
    return assemble(source, settings, augment, detector)


def _make_assignment(settings: DetectionSettings, strides: Sequence[int]) -> tuple[Assignment, dict[str, Any]]:
    """The rule, and what the report says of it."""
    named = {"assignment": settings.assignment}
    if settings.assignment == ATSS:
        rule = ATSSAssignment(settings.nearest_locations, settings.anchor_size)
        return rule, named | {"nearest_locations": rule.num_nearest, "anchor_size": rule.anchor_size}
    if settings.size_limits and len(settings.size_limits) != len(strides) - 1:
        raise UserError(
            f"{SECTION}.size_limits divide the {len(strides)} levels of the network (strides {', '.join(map(str, strides))}): "
            f"{len(strides) - 1} numbers, not {len(settings.size_limits)}"
        )
    rule = FCOSAssignment(tuple(settings.size_limits), settings.centre_radius)
    return rule, named | {"size_limits": rule.limits(strides)[:-1, 1].tolist(), "centre_radius": rule.radius}
