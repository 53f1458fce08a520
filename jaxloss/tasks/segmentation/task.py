"""Semantic segmentation: any source of images with masks, any network for dense prediction, and the metric to be judged by."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxloss.core.errors import UserError
from jaxloss.core.problem import PREDICTIONS
from jaxloss.core.settings import defaults
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import TRAIN, Task
from jaxloss.tasks.context import NO_RUN, TaskContext
from jaxloss.tasks.data.image_splits import divide
from jaxloss.tasks.data.masks.augment import make_mask_augmentation
from jaxloss.tasks.data.masks.pairs import IMAGE, MASK
from jaxloss.tasks.data.masks.statistics import pixel_statistics
from jaxloss.tasks.data.preprocess import standardise
from jaxloss.tasks.metrics.segmentation.registry import METRICS, metric_title
from jaxloss.tasks.metrics.segmentation.streaming import SegmentationMetrics
from jaxloss.tasks.models.backbone import network_backbone_mask
from jaxloss.tasks.segmentation.inputs import BRANCH, OFFERS, RANGES, PixelInputs, auxiliary_losses, make_forward
from jaxloss.tasks.segmentation.network import make_network
from jaxloss.tasks.segmentation.output_samples import dense_samples
from jaxloss.tasks.segmentation.pictures import make_pictures
from jaxloss.tasks.segmentation.rejection import make_problem
from jaxloss.tasks.segmentation.scoring import class_tables, make_counts, make_scores
from jaxloss.tasks.segmentation.settings import SECTION, SegmentationSettings
from jaxloss.tasks.segmentation.splits import frequencies_of, load_source, place
from jaxloss.tasks.user_options import options_of_the_user

Augment = Callable[[PyTree, Array], PyTree]


def make_segmentation(settings: SegmentationSettings, context: TaskContext = NO_RUN) -> Task:
    """A segmentation task.

    Every split of the data is `{'image': uint8 [N, H, W, 3], 'mask': uint8 [N, H, W]}`, the class of each pixel or 255, void; the
    training split also has `prior`, float32 `[N, C]`, how often each class occurs among its pixels, the same in every row.

    `forward` offers `prediction` (softmax), `target` (what the metric is trained towards), `logits` and `prior`, each
    `[N, H, W, C]` of the size of the training; void is left out of the mask. Where the target is another one than the labels, the
    labels are beside it, for hand-crafted losses. `scores` gives all metrics of `metrics.segmentation`, at the full size of the
    images, and the IoU and the metric itself of each class; the metric of the rejection problem is the one that is searched for.

    Args:
      settings: of the task.
      context: the rest of the run: where data lie, and what the rejection protocol asks for.

    Raises:
      UserError: for absent or broken data, and for settings that do not suit them.

    References:
      Li et al., CVPR 2022, Section 4.1 and Appendix A.1.
    """
    source = load_source(settings, context)
    # An empty split is a mistake of its own.
    divide(source, settings, settings.division)
    num_classes, class_names = source.num_classes, source.class_names
    if num_classes < 2:
        raise UserError(f"{settings.source} has one class, {class_names[0]}: name what surrounds it as a class, not as void")
    prepare = functools.partial(standardise, mean=settings.pixel_mean, deviation=settings.pixel_deviation)
    metrics = SegmentationMetrics(num_classes, rule=settings.rule)
    inputs = PixelInputs(num_classes, settings.target, settings.rule)
    augment = _make_augmentation(settings)
    examples = {name: jax.ShapeDtypeStruct((2, *one.shape), one.dtype) for name, one in source.test.rows[0].items()}
    sizes = _sizes(examples, augment, settings)
    network = make_network(settings, num_classes, sizes, prepare)
    if settings.auxiliary_weight not in (0, defaults(SegmentationSettings)["auxiliary_weight"]) and not network.has_auxiliary:
        raise UserError(f"{SECTION}.auxiliary_weight needs a network with an auxiliary head; '{settings.model}' has none here")
    auxiliary = auxiliary_losses(settings.auxiliary_weight) if network.has_auxiliary and settings.auxiliary_weight else {}

    def forward_over(axis_name: str):
        return make_forward(network.train_over(axis_name), inputs, bool(auxiliary))

    def build(division: int) -> Task:
        splits = divide(source, settings, division)
        class_counts = pixel_statistics(splits[TRAIN], num_classes).class_counts
        frequencies = frequencies_of(class_counts)
        return Task(
            name=source.name,
            metric=settings.metric,
            also_shown=tuple(name for name in METRICS if name != settings.metric),
            parts=tables,
            offers={BRANCH: OFFERS},
            init=network.init,
            forward=forward,
            forward_over=None if network.train_over is None else forward_over,
            scores=scores,
            augment=augment,
            problems={PREDICTIONS: problem},
            data=place(splits, settings, frequencies),
            with_division=build,
            auxiliary_losses=auxiliary,
            backbone=network_backbone_mask if network.has_backbone else None,
            pictures=pictures,
            native_convolution=network.native_convolution,
            ranges={BRANCH: RANGES},
            meanings={BRANCH: inputs.meanings},
            customary_losses=("cross_entropy", "weighted_cross_entropy", "focal", "dice", "soft_jaccard"),
            output_samples=functools.partial(dense_samples, inputs, frequencies),
            details={
                **{f"num_{name}": len(part) for name, part in splits.items()},
                "num_classes": num_classes,
                "class_names": list(class_names),
                "train_pixels_by_class": class_counts.tolist(),
                "image_shape": list(examples[IMAGE].shape[1:]),
                "training_size": list(sizes[-1]),
                "division": division,
                "block": settings.block,
                "metrics": [metric_title(name, settings.rule) for name in METRICS],
                "void": settings.void,
                "training_target": settings.target,
                "augmentation": settings.augmentation,
                "pixels": f"(x - {settings.pixel_mean}) / {settings.pixel_deviation}",
                "network": settings.model,
                "pretrained": settings.pretrained or "no",
                "auxiliary_head": settings.auxiliary_weight if auxiliary else "no",
                "precision": settings.precision,
                "num_parameters": sum(leaf.size for leaf in jax.tree.leaves(network.shapes["params"])),
            },
        )

    forward = make_forward(network.train, inputs, bool(auxiliary))
    counts = make_counts(network.predict, metrics, settings.evaluation_batch, unroll=network.native_convolution)
    tables = class_tables(settings.metric, class_names)
    scores = make_scores(counts, metrics, tables)
    pictures = make_pictures(network.predict, class_names, settings.rule)
    window, size = tuple(settings.rejection_window), sizes[-1]
    if window != (0, 0) and not (len(window) == 2 and 0 < window[0] <= size[0] and 0 < window[1] <= size[1]):
        raise UserError(f"{SECTION}.rejection_window is a part of {size[0]} x {size[1]} pixels, or (0, 0), not {window}")
    asked = context.rejection_variable, context.rejection_minimum_gain
    problem = make_problem(forward, augment, inputs, metrics, settings.metric, window, *asked)
    return build(settings.division)


def _make_augmentation(settings: SegmentationSettings) -> Augment | None:
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.augmentation_options.items()}
    if settings.augmentation == "scale_crop_flip":
        given = {"pixel": settings.pixel_mean, **given}
    with options_of_the_user(f"{SECTION}.augmentation_options", settings.augmentation_options):
        return make_mask_augmentation(settings.augmentation, given)


def _sizes(
    examples: Mapping[str, Any], augment: Augment | None, settings: SegmentationSettings
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(height, width) of the images that are scored, and of those that are trained on."""
    whole = examples[MASK].shape[1:]
    if augment is None:
        return whole, whole
    # Mistakes in its settings come to light here, and not in the first training.
    with options_of_the_user(f"{SECTION}.augmentation_options", settings.augmentation_options):
        return whole, jax.eval_shape(augment, examples, jax.random.key(0))[MASK].shape[1:]
