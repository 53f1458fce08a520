"""Sets of TensorFlow Datasets whose images have masks, read with random access and without TensorFlow."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.masks.assemble import make_mask_source
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.masks.labels import LabelNumbers, parse_class_names, parse_numbers
from jaxloss.tasks.data.masks.pairs import Pair
from jaxloss.tasks.data.masks.source import MaskSource
from jaxloss.tasks.data.published_splits import TEST, TRAIN, VAL
from jaxloss.tasks.data.tfds import open_builder, open_splits

# What sets do not say of their own masks: names of the classes, and their numbers.
_KNOWN = {"oxford_iiit_pet": ("pet,background,border", "1-3")}


def load_tfds(
    rest: str,
    data_dir: str | None,
    download: bool,
    frame: Frame,
    streamed: bool,
    image_key: str = "image",
    mask_key: str = "segmentation_mask",
    classes: str = "",
    labels: str = "",
    void: str = "255",
) -> MaskSource:
    """Reads the splits `train`, `validation` and `test` of a prepared data set, as far as it has them.

    Args:
      rest: name of the data set, for example `oxford_iiit_pet`, whose masks hold 1 (pet), 2 (background) and 3 (border).
      data_dir: where data sets are prepared; None leaves it to the package.
      download: also download and prepare the set where it is not prepared yet. Reading needs no TensorFlow, preparing does.
      frame: what size images and masks are brought to.
      streamed: leaves training images in their files.
      image_key: the feature with the image, uint8 `[H, W, 3]` or `[H, W, 1]`.
      mask_key: the feature with the mask, integers `[H, W, 1]` or `[H, W]`.
      classes: names of the classes, see `labels.parse_class_names`; empty for a set that is known here.
      labels: numbers of the classes in the masks; empty for 0 and on, or what is known of the set.
      void: numbers without a class.

    Raises:
      UserError: for an unknown set, one that is not prepared, or one without such features.

    References:
      O. M. Parkhi et al.: Cats and Dogs, CVPR 2012 (Oxford-IIIT Pet).
    """
    builder = open_builder(rest, data_dir, download)
    features = builder.info.features
    for option, key in (("image_key", image_key), ("mask_key", mask_key)):
        if key not in features:
            raise UserError(
                f"tfds data set '{rest}' has no feature '{key}'; name one with the source option {option}: {', '.join(features)}"
            )
    if not classes and builder.name in _KNOWN:
        classes, known_labels = _KNOWN[builder.name]
        labels = labels or known_labels
    if not classes:
        raise UserError(
            f"tfds data set '{rest}' does not say what its masks show: give names or a number with the source option classes"
        )
    names = parse_class_names(classes, None)
    numbers = LabelNumbers.create(len(names), parse_numbers(labels, "labels") if labels else None, parse_numbers(void, "void"))
    train, test = open_splits(builder, rest)
    splits = {TRAIN: train, TEST: test}
    if "validation" in builder.info.splits:
        splits[VAL] = builder.as_data_source("validation")
    pairs = {
        split: _pairs(examples, image_key, mask_key, numbers, f"{rest} ({split})")
        for split, examples in splits.items()
        if examples is not None
    }
    return make_mask_source(builder.name, pairs, names, frame, streamed, f"tfds data set '{rest}'")


def _pairs(
    examples: Sequence[Mapping[str, np.ndarray]], image_key: str, mask_key: str, labels: LabelNumbers, origin: str
) -> list[Pair]:
    def read(row: int, name: str) -> tuple[np.ndarray, np.ndarray]:
        example = examples[row]
        image, mask = np.asarray(example[image_key]), np.asarray(example[mask_key])
        image = image[..., None] if image.ndim == 2 else image
        if image.ndim != 3 or image.dtype != np.uint8 or image.shape[-1] not in (1, 3):
            raise UserError(f"image {name} must be uint8 [H, W, 3], not {image.dtype} {list(image.shape)}")
        mask = mask[..., 0] if mask.ndim == 3 and mask.shape[-1] == 1 else mask
        return np.broadcast_to(image, (*image.shape[:2], 3)), labels.decode(mask, name)

    names = [f"{row} of {origin}" for row in range(len(examples))]
    return [Pair(str(row), name, name, functools.partial(read, row, name)) for row, name in enumerate(names)]
