"""A task of boxes, put together from its data and a detector: splits, scores, pictures and facts are the same for all."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.problem import PREDICTIONS
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import SPLITS, ProblemMaker, Task
from jaxloss.tasks.data.boxes.source import BoxedImages, BoxSource
from jaxloss.tasks.data.image_splits import divide
from jaxloss.tasks.data.stream import STREAMED
from jaxloss.tasks.detection.common_settings import BoxTaskSettings
from jaxloss.tasks.detection.inputs import Forward
from jaxloss.tasks.detection.network import PreparedNetwork
from jaxloss.tasks.detection.nms import Detections
from jaxloss.tasks.detection.pictures import make_pictures
from jaxloss.tasks.detection.scoring import METRICS, class_scores, make_host_metrics
from jaxloss.tasks.detection.splits import place
from jaxloss.tasks.host_metrics import HostMetrics
from jaxloss.tasks.pictures import Pictures


@dataclasses.dataclass(frozen=True)
class Detector:
    """What one kind of detector brings to its task; see `Task` for what has the same name.

    Attributes:
      network: with the variables that it begins with.
      offers: see `Task`.
      ranges: see `Task`.
      meanings: see `Task`.
      forward_over: see `Task`; with None as the axis it is `Task.forward`.
      detect: `(variables, examples) -> Detections` `[N, M, ...]`, in evaluation mode.
      problem: what the rejection protocol solves.
      output_samples: see `Task`.
      native_convolution: see `Task`.
      details: facts for the report, beside those of the data.
      auxiliary_losses: see `Task`.
      independent_classes: see `Task`.
      metrics: names of its scores, all of which are shown.
      host_metrics: see `Task`; None for those of boxes.
      pictures: see `Task`; None for those of boxes.
      place: `(splits, most boxes of an image, whether training images are streamed) -> Task.data`.
    """

    network: PreparedNetwork
    offers: Mapping[str, tuple[str, ...]]
    ranges: Mapping[str, Mapping[str, tuple[float, float]]]
    meanings: Mapping[str, Mapping[str, str]]
    forward_over: Callable[[str | None], Forward]
    detect: Callable[[PyTree, Mapping[str, Array]], Detections]
    problem: ProblemMaker
    output_samples: Callable[[], OutputSamples]
    native_convolution: bool
    details: Mapping[str, Any]
    auxiliary_losses: Mapping[str, Callable[[LossInputs, str | None], Array]] = dataclasses.field(default_factory=dict)
    independent_classes: tuple[str, ...] = ()
    metrics: tuple[str, ...] = tuple(METRICS)
    host_metrics: HostMetrics | None = None
    pictures: Pictures | None = None
    place: Callable[[Mapping[str, BoxedImages], int, bool], dict[str, PyTree]] = place


def assemble(
    source: BoxSource,
    settings: BoxTaskSettings,
    augment: Callable[[PyTree, Array], PyTree] | None,
    detector: Detector,
) -> Task:
    """The task on one division of the data, which makes those on the others.

    Args:
      source: all images and boxes.
      settings: of the task.
      augment: of training images and their boxes, or None.
      detector: that is trained.

    Raises:
      UserError: see `divide`.
    """
    class_names, most_boxes = source.class_names, source.most_boxes
    image_size = source.test.images.shape[1:3]
    forward = detector.forward_over(None)
    host_metrics = detector.host_metrics or make_host_metrics(detector.detect, class_names, settings.evaluation_batch)
    pictures = detector.pictures or make_pictures(detector.detect, class_names)

    def build(division: int) -> Task:
        splits = divide(source, settings, division)
        data = detector.place(splits, most_boxes, settings.training_data == STREAMED)
        return Task(
            name=source.name,
            metric=settings.metric,
            also_shown=tuple(name for name in detector.metrics if name != settings.metric),
            parts={"ap": class_scores(class_names)},
            offers=detector.offers,
            init=detector.network.init,
            forward=forward,
            forward_over=detector.forward_over,
            augment=augment,
            problems={PREDICTIONS: detector.problem},
            data=data,
            with_division=build,
            backbone=detector.network.backbone,
            auxiliary_losses=detector.auxiliary_losses,
            host_metrics=host_metrics,
            native_convolution=detector.native_convolution,
            ranges=detector.ranges,
            meanings=detector.meanings,
            pictures=pictures,
            independent_classes=detector.independent_classes,
            output_samples=detector.output_samples,
            details={
                **{f"num_{name}": len(splits[name]) for name in SPLITS},
                **{f"num_{name}_boxes": splits[name].num_objects for name in SPLITS},
                "num_classes": source.num_classes,
                "class_names": list(class_names),
                "image_shape": [*image_size, 3],
                "fitting": settings.fitting if any(settings.image_size) else "as they are",
                "training_data": settings.training_data,
                **detector.details,
                "division": division,
                "augmentation": settings.augmentation,
                "pixels": f"(x - {settings.pixel_mean}) / {settings.pixel_deviation}",
                "precision": settings.precision,
                "num_parameters": detector.network.num_parameters,
            },
        )

    return build(settings.division)
