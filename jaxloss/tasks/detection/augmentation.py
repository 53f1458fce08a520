"""The random changes of a detection task's training images, and the size that they leave."""

from collections.abc import Callable

import jax
import numpy as np

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.data.augmentations import make_augmentation
from jaxloss.tasks.data.boxes.augment import BOX_AUGMENTATIONS
from jaxloss.tasks.data.boxes.source import IMAGE, Annotation, BoxedImages
from jaxloss.tasks.detection.settings import SECTION, DetectionSettings
from jaxloss.tasks.user_options import options_of_the_user

Augment = Callable[[PyTree, Array], PyTree]


def make_box_augmentation(settings: DetectionSettings) -> Augment | None:
    """What the settings name, with its options.

    Raises:
      UserError: for options that it does not have or lacks.
    """
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.augmentation_options.items()}
    if settings.augmentation == "scale_crop_flip":
        given = {"pixel": settings.pixel_mean, **given}
    with options_of_the_user(f"{SECTION}.augmentation_options", settings.augmentation_options):
        return make_augmentation(BOX_AUGMENTATIONS, settings.augmentation, given)


def size_after(augment: Augment | None, size: tuple[int, int], settings: DetectionSettings) -> tuple[int, int]:
    """(height, width) of training images of a size.

    Raises:
      UserError: for options of the augmentation that are out of range.
    """
    if augment is None:
        return size
    one = BoxedImages(np.zeros((1, *size, 3), np.uint8), (Annotation.create([], [], [], size, []),), ("",)).arrays(1)
    # Mistakes in its settings come to light here, and not in the first training.
    with options_of_the_user(f"{SECTION}.augmentation_options", settings.augmentation_options):
        return jax.eval_shape(augment, one, jax.random.key(0))[IMAGE].shape[1:3]
