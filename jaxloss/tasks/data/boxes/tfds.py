"""Sets of TensorFlow Datasets whose images have boxes, read with random access and without TensorFlow."""

import functools
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.boxes.assemble import Record, make_box_source
from jaxloss.tasks.data.boxes.source import Annotation, BoxSource
from jaxloss.tasks.data.class_names import checked_class_names
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.published_splits import TEST, TRAIN, VAL
from jaxloss.tasks.data.tfds import open_builder, open_splits

# Sets whose own test images come without boxes -> the split that is tested on.
_TESTED_ON = {"coco": "validation"}
# Features of objects that are neither learnt nor scored.
_CROWDS = ("is_crowd", "is_difficult")

Examples = Sequence[Mapping[str, Any]]


def load_tfds(
    rest: str,
    data_dir: str | None,
    download: bool,
    frame: Frame,
    streamed: bool,
    image_key: str = "image",
    objects_key: str = "objects",
    box_key: str = "bbox",
    label_key: str = "label",
    crowd_key: str = "",
    test: str = "",
) -> BoxSource:
    """Reads the splits `train`, `validation` and `test` of a prepared data set, as far as it has them.

    Boxes are `[ymin, xmin, ymax, xmax]` in shares of the sides of their image, as these sets have them.

    Args:
      rest: name of the data set, for example `coco/2017` or `voc/2007`.
      data_dir: where data sets are prepared; None leaves it to the package.
      download: also download and prepare the set where it is not prepared yet. Reading needs no TensorFlow, preparing does.
      frame: what size images, and boxes with them, are brought to.
      streamed: leaves training images in their files.
      image_key: the feature with the image, uint8 `[H, W, 3]` or `[H, W, 1]`.
      objects_key: the sequence of objects of an image.
      box_key: the box of an object.
      label_key: the class of an object, a `ClassLabel`.
      crowd_key: whether an object is neither learnt nor scored; empty for `is_crowd` or `is_difficult`, where there is one.
      test: the split that is tested on; empty for `test`, where there is one, and for `coco` its `validation`, since its test
        images come without boxes.

    Raises:
      UserError: for an unknown set, one that is not prepared, or one without such features, and for boxes that are wrong.

    References:
      T.-Y. Lin et al.: Microsoft COCO: Common Objects in Context, ECCV 2014.
      M. Everingham et al.: The PASCAL Visual Object Classes (VOC) Challenge, IJCV 2010.
    """
    import tensorflow_datasets as tfds  # slow to import, and only this source needs it

    builder = open_builder(rest, data_dir, download)
    features = builder.info.features
    # Of a sequence the features of one object; anything else has none.
    of_objects = getattr(features[objects_key], "feature", {}) if objects_key in features else {}
    of_objects = of_objects if hasattr(of_objects, "keys") else {}
    for option, key, there in (
        ("image_key", image_key, features),
        ("objects_key", objects_key, features),
        ("box_key", box_key, of_objects),
        ("label_key", label_key, of_objects),
        *([("crowd_key", crowd_key, of_objects)] if crowd_key else []),
    ):
        if key not in there:
            known = ", ".join(there) or "none: it is no sequence of objects"
            raise UserError(f"tfds data set '{rest}' has no feature '{key}'; name one with the source option {option}: {known}")
    if not isinstance(of_objects[label_key], tfds.features.ClassLabel):
        raise UserError(f"tfds data set '{rest}': the feature '{label_key}' of '{objects_key}' does not tell a class")
    class_names = checked_class_names(of_objects[label_key].names, f"tfds data set '{rest}' ({label_key})")
    crowd_key = crowd_key or next((key for key in _CROWDS if key in of_objects), "")
    keys = (objects_key, box_key, label_key, crowd_key)
    # Boxes and sizes are looked at beforehand, and images need not be decoded for that.
    undecoded = {image_key: tfds.decode.SkipDecoding()} if isinstance(features[image_key], tfds.features.Image) else None
    splits = {}
    for split, published in _published(builder, rest, test).items():
        known = builder.as_data_source(published, decoders=undecoded)
        origin = f"{rest} ({published})"
        examples = builder.as_data_source(published)
        splits[split] = [_record(row, examples, known, image_key, keys, origin) for row in range(len(examples))]
    source = make_box_source(builder.name, splits, class_names, frame, streamed, f"tfds data set '{rest}'")
    if source.test is not None and not source.test.num_objects:
        raise UserError(
            f"tfds data set '{rest}' has no boxes in its split for the test: name another with the source option test"
        )
    return source


def _published(builder: Any, rest: str, test: str) -> dict[str, str]:
    """Split as it is known here -> split of the set."""
    open_splits(builder, rest)  # whether it is prepared
    there = list(builder.info.splits) or [TRAIN, TEST]  # a mocked set lists no splits
    test = test or _TESTED_ON.get(builder.name.partition("/")[0], TEST)
    if test != TEST and test not in there:
        raise UserError(f"tfds data set '{rest}' has no split '{test}'; it has {', '.join(there)}")
    splits = {TRAIN: TRAIN}
    if test in there:
        splits[TEST] = test
    if "validation" in there and test != "validation":
        splits[VAL] = "validation"
    return splits


def _record(row: int, examples: Examples, known: Examples, image_key: str, keys: Sequence[str], origin: str) -> Record:
    name = f"{row} of {origin}"
    objects_key, box_key, label_key, crowd_key = keys

    def size() -> tuple[int, int]:
        image = known[row][image_key]
        if isinstance(image, bytes):
            with Image.open(io.BytesIO(image)) as opened:
                return opened.height, opened.width
        return tuple(np.shape(image)[:2])

    def read() -> np.ndarray:
        image = np.asarray(examples[row][image_key])
        image = image[..., None] if image.ndim == 2 else image
        if image.ndim != 3 or image.dtype != np.uint8 or image.shape[-1] not in (1, 3):
            raise UserError(f"image {name} must be uint8 [H, W, 3], not {image.dtype} {list(image.shape)}")
        return np.broadcast_to(image, (*image.shape[:2], 3))

    def annotate(size: tuple[int, int]) -> Annotation:
        objects = known[row][objects_key]
        top, left, bottom, right = np.reshape(objects[box_key], (-1, 4)).T
        height, width = size
        boxes = np.stack([left * width, top * height, right * width, bottom * height], axis=1)
        crowd = objects[crowd_key] if crowd_key else np.zeros(len(boxes), bool)
        return Annotation.create(boxes, objects[label_key], crowd, size, [f"{name}, object {k}" for k in range(len(boxes))])

    return Record(str(row), name, functools.cache(size), read, annotate)
