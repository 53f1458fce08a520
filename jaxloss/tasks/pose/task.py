"""Keypoints: any source of images with a subject each, a network with a map for every keypoint, and the metrics of COCO."""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.problem import PREDICTIONS
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import SPLITS, Task
from jaxloss.tasks.context import NO_RUN, TaskContext
from jaxloss.tasks.data.image_splits import divide
from jaxloss.tasks.data.keypoints.augment import make_keypoint_augmentation
from jaxloss.tasks.data.keypoints.source import IMAGE, VISIBLE
from jaxloss.tasks.data.preprocess import standardise
from jaxloss.tasks.models.backbone import network_backbone_mask, with_pretrained
from jaxloss.tasks.models.network import linen_network
from jaxloss.tasks.models.registry import make_pose_model
from jaxloss.tasks.pose.decoding import decode
from jaxloss.tasks.pose.inputs import MEANINGS, OFFERS, RANGES, HeatmapInputs, make_forward
from jaxloss.tasks.pose.measures import COCO_SIGMAS, METRICS, PCK, PoseMeasures
from jaxloss.tasks.pose.output_samples import heatmap_samples
from jaxloss.tasks.pose.pictures import make_pictures
from jaxloss.tasks.pose.rejection import make_problem
from jaxloss.tasks.pose.scoring import keypoint_scores, make_host_metrics
from jaxloss.tasks.pose.settings import COCO, SECTION, PoseSettings
from jaxloss.tasks.pose.splits import load_source, place
from jaxloss.tasks.user_options import options_of_the_user


def make_pose(settings: PoseSettings, context: TaskContext = NO_RUN) -> Task:
    """A pose task.

    Every split of the data is `{'image': uint8 [N, H, W, 3], 'keypoints': float32 [N, K, 2], 'visible': bool [N, K], ...}`; see
    `data.keypoints.source.KeypointImages` for what says where an example lies in its file.

    `forward` offers one branch, `heatmap`, in which the map of each keypoint is a sample of its own: `prediction` (any number)
    and `target` (0 to 1) `[N * K, h, w, 1]`, and `offset` `[N * K, h, w, 2]`, from the keypoint to each position. The mask leaves
    out keypoints that are not visible.

    Args:
      settings: of the task.
      context: the rest of the run: where data lie, and what the rejection protocol asks for.

    Raises:
      UserError: for absent or broken data, and for settings that do not suit them.

    References:
      Li et al., CVPR 2022, Section 4.4 and Appendix A.4; Xiao et al., ECCV 2018.
    """
    source = load_source(settings, context)
    # An empty split is a mistake of its own.
    divide(source, settings, settings.division)
    names = source.keypoint_names
    prepare = functools.partial(standardise, mean=settings.pixel_mean, deviation=settings.pixel_deviation)
    image_size = source.test.examples[IMAGE].shape[1:3]
    with options_of_the_user(f"{SECTION}.model_options", settings.model_options):
        network = make_pose_model(settings.model, len(names), {**settings.model_options, "dtype": settings.precision})
        module = linen_network(network)
        # Parameters are the same for all sizes, and small images are soon through.
        smallest = jnp.zeros((1, *[network.smallest_image()] * 2, 3), jnp.float32)
        init = functools.partial(_init, module, smallest)
        if settings.pretrained:
            init = with_pretrained(init, network, settings.pretrained, part=None)
        shapes = jax.eval_shape(init, jax.random.key(0))
        images = jax.ShapeDtypeStruct((1, *image_size, 3), jnp.float32)
        maps = jax.eval_shape(module.predict, shapes, images)
    inputs = HeatmapInputs(maps.shape[1:3], network.stride, settings.sigma, settings.centre)
    measures = PoseMeasures(_sigmas(settings, len(names)), settings.oks_area, settings.pck_share, settings.pck_length)
    mirrored = mirrored_keypoints(names, settings.flip_pairs)
    augment = make_keypoint_augmentation(settings.augmentation, mirrored, settings.rotation, settings.scaling, settings.shift)

    def forward_over(axis_name: str | None):
        return make_forward(network.clone(axis_name=axis_name), prepare, inputs)

    def train(variables: PyTree, images: Array, key: Array) -> Array:
        return module.train(variables, prepare(images), key)[0]

    def find(variables: PyTree, images: Array) -> tuple[Array, Array]:
        return decode(module.predict(variables, prepare(images)), network.stride)

    def build(division: int) -> Task:
        splits = divide(source, settings, division)
        return Task(
            name=source.name,
            metric=settings.metric,
            also_shown=tuple(name for name in METRICS if name != settings.metric),
            parts={PCK: keypoint_scores(names)},
            offers=OFFERS,
            init=init,
            forward=forward,
            forward_over=forward_over,
            augment=augment,
            problems={PREDICTIONS: problem},
            data=place(splits),
            with_division=build,
            backbone=network_backbone_mask if has_backbone else None,
            host_metrics=host_metrics,
            native_convolution=getattr(network, "convolution", "native") == "native",
            ranges=RANGES,
            meanings=MEANINGS,
            independent_classes=tuple(OFFERS),
            pictures=pictures,
            customary_losses=("mse", "absolute_error"),
            output_samples=functools.partial(heatmap_samples, inputs),
            details={
                **{f"num_{name}": len(splits[name]) for name in SPLITS},
                **{f"num_{name}_keypoints": int(splits[name].examples[VISIBLE].sum()) for name in SPLITS},
                "num_keypoints": len(names),
                "keypoint_names": list(names),
                "image_shape": [*image_size, 3],
                "map_shape": list(inputs.size),
                "stride": network.stride,
                "sigma": settings.sigma,
                "centre": settings.centre,
                "oks_sigmas": list(measures.sigmas),
                "oks_area": settings.oks_area,
                "pck": f"within {settings.pck_share} of {settings.pck_length or 'the extent of the visible keypoints'}",
                "division": division,
                "augmentation": settings.augmentation,
                "pixels": f"(x - {settings.pixel_mean}) / {settings.pixel_deviation}",
                "network": settings.model,
                "pretrained": settings.pretrained or "no",
                "precision": settings.precision,
                "num_parameters": sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])),
            },
        )

    forward = forward_over(None)
    has_backbone = any(jax.tree.leaves(network_backbone_mask(shapes["params"])))
    host_metrics = make_host_metrics(find, measures, names, settings.evaluation_batch)
    pictures = make_pictures(find, measures, names)
    problem = make_problem(train, augment, inputs, measures, settings.metric, context.rejection_minimum_gain)
    return build(settings.division)


def mirrored_keypoints(names: Sequence[str], pairs: Mapping[str, str]) -> np.ndarray:
    """The keypoint that each one is taken for in a mirror, int `[K]`.

    Args:
      names: `[K]`.
      pairs: keypoint on the left -> the one on the right.

    Raises:
      UserError: for a keypoint that is not there, and one that is in two pairs.
    """
    mirrored, numbers = np.arange(len(names)), {name: number for number, name in enumerate(names)}
    for left, right in pairs.items():
        for name in (left, right):
            if name not in numbers:
                raise unknown(f"keypoint in {SECTION}.flip_pairs", name, names)
        one, other = numbers[left], numbers[right]
        if one == other or mirrored[one] != one or mirrored[other] != other:
            raise UserError(f"{SECTION}.flip_pairs: {left} and {right} must be two keypoints that are in no other pair")
        mirrored[[one, other]] = other, one
    return mirrored


def _init(module, images: Array, key: Array) -> PyTree:
    return module.init(key, images)


def _sigmas(settings: PoseSettings, count: int) -> tuple[float, ...]:
    if settings.oks_constants == COCO:
        if count != len(COCO_SIGMAS):
            raise UserError(
                f"{SECTION}.oks_constants=coco are of {len(COCO_SIGMAS)} keypoints, and {settings.source} has {count}"
            )
        return COCO_SIGMAS
    given = np.atleast_1d(settings.oks_sigmas).astype(float).tolist()
    if len(given) not in (1, count):
        raise UserError(f"{SECTION}.oks_sigmas takes one number, or one for each of {count} keypoints, not {len(given)}")
    return tuple(given * count if len(given) == 1 else given)
