"""Object detection in two stages: any source of images with boxes, Faster R-CNN, and COCO's average precision."""

import functools
from collections.abc import Mapping
from typing import Any

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import Task
from jaxloss.tasks.context import NO_RUN, TaskContext
from jaxloss.tasks.data.boxes.augment import BOX_AUGMENTATIONS
from jaxloss.tasks.data.boxes.source import IMAGE
from jaxloss.tasks.data.image_splits import divide
from jaxloss.tasks.data.preprocess import standardise
from jaxloss.tasks.detection.assembly import Detector, assemble
from jaxloss.tasks.detection.locations import Locations
from jaxloss.tasks.detection.network import prepare_network
from jaxloss.tasks.detection.nms import Detections
from jaxloss.tasks.detection.splits import load_source
from jaxloss.tasks.models.detection.two_stage import TwoStageNetwork
from jaxloss.tasks.models.registry import make_two_stage_model
from jaxloss.tasks.two_stage_detection.anchors import make_anchors
from jaxloss.tasks.two_stage_detection.coding import BoxCoding
from jaxloss.tasks.two_stage_detection.common_settings import RegionSettings
from jaxloss.tasks.two_stage_detection.decoding import RegionDecoder
from jaxloss.tasks.two_stage_detection.inputs import OFFERS, RANGES, StageInputs, meanings_of
from jaxloss.tasks.two_stage_detection.matching import OverlapMatching
from jaxloss.tasks.two_stage_detection.output_samples import region_samples
from jaxloss.tasks.two_stage_detection.proposals import Proposer
from jaxloss.tasks.two_stage_detection.regions import RegionSampler
from jaxloss.tasks.two_stage_detection.rejection import make_problem
from jaxloss.tasks.two_stage_detection.settings import SECTION, TwoStageDetectionSettings
from jaxloss.tasks.two_stage_detection.stages import Stages, with_axis
from jaxloss.tasks.user_options import options_of_the_user


def make_two_stage_detection(settings: TwoStageDetectionSettings, context: TaskContext = NO_RUN) -> Task:
    """A task of detection in two stages. Its data are those of `make_detection`.

    `forward` offers four branches, `[N, S, 1, C]` over regions that are sampled from each image, anchors for the first stage
    (`rpn_...`) and proposals for the second (`rcnn_...`): `..._classification` with `prediction`, `target` (one-hot, background
    the last class), `logits` and `overlap` (IoU of predicted and true box without a gradient, 1 for background), and
    `..._regression`, of positive regions alone, with `intersection`, `union`, `enclosing`, and boxes as distances and as deltas.
    Sums are divided by the number of sampled regions.

    Args:
      settings: of the task.
      context: the rest of the run: where data lie, and what the rejection protocol asks for.

    Raises:
      UserError: for absent or broken data, and for settings that do not suit them.

    References:
      Li et al., CVPR 2022, Section 4.2; Liu et al., ICLR 2021, Section 4; Ren et al., NIPS 2015; Lin et al., CVPR 2017.
    """
    source = load_source(settings, context)
    # An empty split is a mistake of its own.
    divide(source, settings, settings.division)
    image_size = source.test.images.shape[1:3]
    num_anchors = len(settings.anchor_scales) * len(settings.anchor_ratios)
    with options_of_the_user(f"{SECTION}.model_options", settings.model_options):
        options = {**settings.model_options, "dtype": settings.precision}
        network = make_two_stage_model(settings.model, source.num_classes, num_anchors, options)
        prepared = prepare_network(network, settings.pretrained, SECTION, (image_size,))
    stages = make_stages(settings, network, source.num_classes, image_size)
    decode = make_decoder(settings, stages)
    augment = BOX_AUGMENTATIONS[settings.augmentation]

    def detect(variables: PyTree, examples: Mapping[str, Array]) -> Detections:
        return decode(*stages.predict(variables, examples[IMAGE]))

    asked = context.rejection_variable, context.rejection_minimum_gain
    detector = Detector(
        network=prepared,
        offers=OFFERS,
        ranges=RANGES,
        meanings=meanings_of(settings.area_unit),
        forward_over=lambda axis_name: with_axis(stages, axis_name).forward,
        detect=detect,
        problem=make_problem(stages, augment, *asked),
        output_samples=functools.partial(region_samples, stages.inputs),
        native_convolution=getattr(network, "convolution", "native") == "native",
        details=facts_of(settings, stages),
    )
    return assemble(source, settings, augment, detector)


def facts_of(settings: RegionSettings, stages: Stages) -> dict[str, Any]:
    """Facts for the report."""
    return {
        "network": settings.model,
        "pretrained": settings.pretrained or "no",
        "strides": list(stages.network.strides),
        "num_anchors": len(stages.proposer.anchors),
        "anchor_scales": list(settings.anchor_scales),
        "anchor_ratios": list(settings.anchor_ratios),
        "rpn_samples": settings.rpn_samples,
        "num_proposals": settings.num_proposals,
        "rcnn_samples": settings.rcnn_samples,
        "area_unit": settings.area_unit,
    }


def make_decoder(settings: RegionSettings, stages: Stages) -> RegionDecoder:
    """What makes detections of the outputs of the second stage, as the settings say."""
    return RegionDecoder(
        stages.inputs[1].coding,
        stages.proposer.image_size,
        settings.minimum_score,
        settings.maximum_iou,
        settings.most_detections,
        settings.candidates,
    )


def make_stages(settings: RegionSettings, network: TwoStageNetwork, num_classes: int, image_size: tuple[int, int]) -> Stages:
    """The two stages for images of one size.

    Args:
      settings: of the task.
      network: that they are computed with.
      num_classes: without background.
      image_size: (height, width).
    """
    locations = Locations.create(image_size, network.strides)
    anchors = make_anchors(locations, settings.anchor_scales, settings.anchor_ratios)
    of_location = len(settings.anchor_scales) * len(settings.anchor_ratios)
    codings = (
        BoxCoding(deviations=tuple(settings.rpn_deviations)),
        BoxCoding(tuple(settings.rcnn_means), tuple(settings.rcnn_deviations)),
    )
    proposer = Proposer(
        anchors,
        locations.levels.repeat(of_location),
        codings[0],
        image_size,
        settings.proposal_candidates,
        settings.proposal_iou,
        settings.num_proposals,
    )
    of_anchors = OverlapMatching(settings.rpn_positive_iou, settings.rpn_negative_iou, settings.rpn_best_iou)
    of_proposals = OverlapMatching(settings.rcnn_positive_iou, settings.rcnn_positive_iou)
    return Stages(
        network,
        functools.partial(standardise, mean=settings.pixel_mean, deviation=settings.pixel_deviation),
        proposer,
        (
            RegionSampler(of_anchors, settings.rpn_samples, settings.rpn_positive_share),
            RegionSampler(of_proposals, settings.rcnn_samples, settings.rcnn_positive_share),
        ),
        (
            StageInputs(1, codings[0], settings.area_unit),
            StageInputs(num_classes, codings[1], settings.area_unit),
        ),
    )
