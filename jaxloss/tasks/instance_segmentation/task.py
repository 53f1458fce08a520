"""Instance segmentation: images with the masks of objects, Mask R-CNN, and COCO's average precision by masks."""

import functools
import math
from collections.abc import Mapping

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import Task
from jaxloss.tasks.context import NO_RUN, TaskContext
from jaxloss.tasks.data.boxes.augment import BOX_AUGMENTATIONS
from jaxloss.tasks.data.boxes.source import IMAGE
from jaxloss.tasks.data.image_splits import divide
from jaxloss.tasks.data.instances.arrays import TrueMasks, numbered
from jaxloss.tasks.data.instances.load import INSTANCE_SOURCES
from jaxloss.tasks.detection.assembly import Detector, assemble
from jaxloss.tasks.detection.network import prepare_network
from jaxloss.tasks.detection.nms import Detections
from jaxloss.tasks.detection.splits import load_source
from jaxloss.tasks.instance_segmentation import inputs
from jaxloss.tasks.instance_segmentation.inputs import MASK, MaskInputs
from jaxloss.tasks.instance_segmentation.output_samples import instance_samples
from jaxloss.tasks.instance_segmentation.pictures import make_mask_pictures
from jaxloss.tasks.instance_segmentation.rejection import make_problem
from jaxloss.tasks.instance_segmentation.scoring import make_host_metrics
from jaxloss.tasks.instance_segmentation.settings import METRICS, SECTION, InstanceSegmentationSettings
from jaxloss.tasks.instance_segmentation.splits import place
from jaxloss.tasks.instance_segmentation.stages import FoundMasks, MaskStages
from jaxloss.tasks.models.registry import INSTANCE_MODELS, make_two_stage_model
from jaxloss.tasks.two_stage_detection.inputs import OFFERS, RANGES, meanings_of
from jaxloss.tasks.two_stage_detection.stages import with_axis
from jaxloss.tasks.two_stage_detection.task import facts_of, make_decoder, make_stages
from jaxloss.tasks.user_options import options_of_the_user


def make_instance_segmentation(settings: InstanceSegmentationSettings, context: TaskContext = NO_RUN) -> Task:
    """A task of instance segmentation. Its data are those of `make_detection`, with the masks of objects.

    `train` has `masks` bool `[N, K, s, s]` beside them, each in its box; all splits have `number` int32 `[N]`, of the image.

    `forward` offers five branches: the four of `make_two_stage_detection`, and `mask`, `[N M, m, m, 2]` over the cells of the
    regions that may be positive, with `prediction`, `target` (one-hot) and `logits` of object and background; a mean over the
    cells of positive regions.

    Args:
      settings: of the task.
      context: the rest of the run: where data lie, and what the rejection protocol asks for.

    Raises:
      UserError: for absent or broken data, and for settings that do not suit them.

    References:
      Li et al., CVPR 2022, Section 4.3 and Appendix A.3; He et al., ICCV 2017.
    """
    source = numbered(load_source(settings, context, INSTANCE_SOURCES))
    # An empty split is a mistake of its own.
    divide(source, settings, settings.division)
    image_size = source.test.images.shape[1:3]
    num_anchors = len(settings.anchor_scales) * len(settings.anchor_ratios)
    with options_of_the_user(f"{SECTION}.model_options", settings.model_options):
        options = {**settings.model_options, "dtype": settings.precision}
        network = make_two_stage_model(settings.model, source.num_classes, num_anchors, options, INSTANCE_MODELS)
        prepared = prepare_network(network, settings.pretrained, SECTION, (image_size,))
    of_boxes = make_stages(settings, network, source.num_classes, image_size)
    stages = MaskStages(
        **vars(of_boxes),
        masks=MaskInputs(2 * network.mask_region_size, settings.mask_sampling),
        num_learnt=max(1, math.floor(settings.rcnn_samples * settings.rcnn_positive_share + 1e-9)),
    )
    decode = make_decoder(settings, stages)
    augment = BOX_AUGMENTATIONS[settings.augmentation]

    def find(variables: PyTree, examples: Mapping[str, Array]) -> FoundMasks:
        return stages.find(variables, examples[IMAGE], decode)

    def detect(variables: PyTree, examples: Mapping[str, Array]) -> Detections:
        return find(variables, examples).detections

    true_masks = TrueMasks(source, image_size)
    scores = make_host_metrics(find, true_masks, source.class_names, image_size, settings.evaluation_batch)
    asked = context.rejection_variable, context.rejection_minimum_gain
    detector = Detector(
        network=prepared,
        offers={**OFFERS, MASK: inputs.OFFERS},
        ranges={**RANGES, MASK: inputs.RANGES},
        meanings={**meanings_of(settings.area_unit), MASK: inputs.MEANINGS},
        forward_over=lambda axis_name: with_axis(stages, axis_name).forward,
        detect=detect,
        problem=make_problem(stages, augment, *asked),
        output_samples=functools.partial(instance_samples, stages.inputs, stages.masks),
        native_convolution=getattr(network, "convolution", "native") == "native",
        details={
            **facts_of(settings, stages),
            "mask_size": stages.masks.size,
            "mask_resolution": settings.mask_resolution,
        },
        metrics=METRICS,
        host_metrics=scores,
        pictures=make_mask_pictures(find, true_masks, source.class_names, image_size),
        place=functools.partial(place, side=settings.mask_resolution),
    )
    return assemble(source, settings, augment, detector)
