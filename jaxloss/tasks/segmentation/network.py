"""The network of a segmentation task: one of the registry, or one of the user's, behind the same few functions."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.models.backbone import network_backbone_mask, with_pretrained
from jaxloss.tasks.models.network import Variables, linen_network
from jaxloss.tasks.models.outside import network_from_outside
from jaxloss.tasks.models.registry import SEGMENTATION_MODELS, make_segmentation_model
from jaxloss.tasks.models.segmentation.network import SegmentationLogits
from jaxloss.tasks.segmentation.settings import SECTION, SegmentationSettings
from jaxloss.tasks.user_options import options_of_the_user

# `(variables, images, key) -> (logits, variables)`, in training mode.
Train = Callable[[Variables, Array, Array], tuple[SegmentationLogits, Variables]]


@dataclasses.dataclass(frozen=True)
class DenseNetwork:
    """A network that gives logits for every pixel; its images are those of the data, `[N, H, W, 3]`.

    Attributes:
      init: `(key) -> variables`.
      shapes: of the variables.
      predict: `(variables, images) -> logits [N, H, W, C]`, in evaluation mode.
      train: in training mode.
      train_over: `(axis name) -> train` where BatchNorm sees a batch that is divided over a device axis; None where it cannot.
      has_auxiliary: whether there are the logits of an auxiliary head.
      has_backbone: whether a part of it is one, see `Task.backbone`.
      native_convolution: see `Task.native_convolution`.
    """

    init: Callable[[Array], Variables]
    shapes: PyTree
    predict: Callable[[Variables, Array], Array]
    train: Train
    train_over: Callable[[str], Train] | None
    has_auxiliary: bool
    has_backbone: bool
    native_convolution: bool


def make_network(
    settings: SegmentationSettings,
    num_classes: int,
    sizes: tuple[tuple[int, int], tuple[int, int]],
    prepare: Callable[[Array], Array],
) -> DenseNetwork:
    """Makes the network that the settings name.

    Args:
      settings: of the task.
      num_classes: `C`.
      sizes: (height, width) of the images that are scored, and of those that are trained on.
      prepare: of images, in whatever form they come.

    Raises:
      UserError: for options that do not fit, images that are too small, and a network that does not give such logits.
    """
    if settings.model in SEGMENTATION_MODELS:
        return _registered(settings, num_classes, sizes, prepare)
    return _from_outside(settings, num_classes, sizes, prepare)


def _registered(settings: SegmentationSettings, num_classes: int, sizes, prepare) -> DenseNetwork:
    network = make_segmentation_model(settings.model, num_classes, {**settings.model_options, "dtype": settings.precision})

    def train_over(axis_name: str | None) -> Train:
        train = linen_network(network.clone(axis_name=axis_name)).train
        return lambda variables, images, key: train(variables, prepare(images), key)

    # Parameters are the same for all sizes, and small images are soon through.
    smallest = jnp.zeros((1, *[network.smallest_image()] * 2, 3), jnp.float32)
    module = linen_network(network)

    def init(key: Array) -> Variables:
        return module.init(key, prepare(smallest))

    with options_of_the_user(f"{SECTION}.model_options", settings.model_options):
        for size in sizes:
            network.check_size(jax.ShapeDtypeStruct((1, *size, 3), jnp.float32))
        if settings.pretrained:
            init = with_pretrained(init, network, settings.pretrained, part=None)
        shapes = jax.eval_shape(init, jax.random.key(0))
        images = jax.ShapeDtypeStruct(smallest.shape, smallest.dtype)
        in_training, _ = jax.eval_shape(module.train, shapes, images, jax.random.key(0))
    return DenseNetwork(
        init,
        shapes,
        predict=lambda variables, images: module.predict(variables, prepare(images)).main,
        train=train_over(None),
        train_over=train_over,
        has_auxiliary=in_training.auxiliary is not None,
        has_backbone=any(jax.tree.leaves(network_backbone_mask(shapes["params"]))),
        native_convolution=getattr(network, "convolution", "native") == "native",
    )


def _from_outside(settings: SegmentationSettings, num_classes: int, sizes, prepare) -> DenseNetwork:
    """Both sizes are looked at: who resizes to a fixed size gives logits of another one."""
    scored, trained = (
        network_from_outside(
            settings.model,
            num_classes,
            settings.model_options,
            settings.precision,
            (*size, 3),
            section=SECTION,
            registered=SEGMENTATION_MODELS,
            is_dense=True,
        )
        for size in sizes
    )
    images = jnp.zeros((1, *sizes[-1], 3), jnp.float32)

    def init(key: Array) -> Variables:
        return trained.init(key, prepare(images))

    def train(variables: Variables, images: Array, key: Array) -> tuple[SegmentationLogits, Variables]:
        logits, updated = trained.train(variables, prepare(images), key)
        return SegmentationLogits(logits), updated

    shapes = jax.eval_shape(init, jax.random.key(0))
    return DenseNetwork(
        init,
        shapes,
        predict=lambda variables, images: scored.predict(variables, prepare(images)),
        train=train,
        train_over=None,
        has_auxiliary=False,
        has_backbone=False,
        native_convolution=trained.native_convolution,
    )
