"""Images and boxes in a NumPy archive: the boxes of all images in one list."""

import functools

import numpy as np

from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.tasks.data.boxes.assemble import Record, make_box_source
from jaxloss.tasks.data.boxes.source import Annotation, BoxSource
from jaxloss.tasks.data.class_names import checked_class_names
from jaxloss.tasks.data.locate import find_file
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.npz import open_archive
from jaxloss.tasks.data.published_splits import TRAIN, divided_by


def load_npz(
    rest: str,
    data_dir: str | None,
    download: bool,
    frame: Frame,
    streamed: bool,
    image_key: str = "images",
    box_key: str = "boxes_xyxy",
    row_key: str = "box_image",
    label_key: str = "box_label",
    crowd_key: str = "box_crowd",
    name_key: str = "names",
    split_key: str = "split",
    class_key: str = "class_names",
) -> BoxSource:
    """Reads images, and boxes that say to which of them they belong.

    Args:
      rest: the file; absolute, relative to the working folder, or to be found by `find_file`.
      data_dir: a folder to look in.
      download: not used.
      frame: what size images, and boxes with them, are brought to.
      streamed: leaves training images where they are.
      image_key: uint8 `[M, H, W, 3]`, or grey `[M, H, W]`.
      box_key: numbers `[B, 4]`: left, top, right, bottom in pixels.
      row_key: integers `[B]`, the image of each box, counted from 0.
      label_key: integers `[B]`, the class of each box, counted from 0.
      crowd_key: `[B]`, 1 for a crowd; none are where the key is not there.
      name_key: texts `[M]`; images are numbered where the key is not there.
      split_key: `[M]`, 0 (train) and 1 (val), or the words `train`, `val` and `test`; where the key is not there, all images are
        there to be trained on.
      class_key: texts `[C]`, the names of the classes.

    Raises:
      UserError: for a file or a key that is missing, arrays of another form, and boxes that are wrong.
    """
    del download
    path = find_file(rest, data_dir)
    options = {"image_key": image_key, "box_key": box_key, "row_key": row_key, "label_key": label_key, "class_key": class_key}
    with open_archive(path) as archive:
        there = archive.files
        for option, key in options.items():
            if key not in there:
                raise UserError(
                    f"data file {path} has no '{key}'.{did_you_mean(key, there)} Name another of its keys with the source option "
                    f"{option}: {', '.join(there)}"
                )
        images, boxes, rows, labels, names_of_classes = (archive[key] for key in options.values())
        rest = {key: archive[key] for key in (crowd_key, name_key, split_key) if key in there}
    for key, array in (*zip(options.values(), (images, boxes, rows, labels, names_of_classes), strict=True), *rest.items()):
        if not array.ndim:
            raise UserError(f"{path} ({key}): an array was expected, not a single {array.dtype}")
    crowd = rest.get(crowd_key, np.zeros(len(boxes), bool))
    names, words = (
        rest.get(name_key, np.arange(len(images))).astype(str),
        rest.get(split_key, np.full(len(images), TRAIN)).astype(str),
    )
    class_names = checked_class_names(names_of_classes.ravel(), f"{path} ({class_key})")
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[-1] not in (1, 3):
        raise UserError(f"{path} ({image_key}): images must be uint8 [M, H, W, 3], not {images.dtype} {list(images.shape)}")
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind not in "iuf":
        raise UserError(f"{path} ({box_key}): boxes must be numbers [B, 4], not {boxes.dtype} {list(boxes.shape)}")
    for key, array in ((row_key, rows), (label_key, labels), (crowd_key, crowd)):
        if array.shape != (len(boxes),) or array.dtype.kind not in "biu":
            raise UserError(f"{path} ({key}): one integer for each of {len(boxes)} boxes, not {array.dtype} {list(array.shape)}")
    for key, array in ((name_key, names), (split_key, words)):
        if array.shape != (len(images),):
            raise UserError(f"{path} ({key}): one entry for each of {len(images)} images, not {list(array.shape)}")
    for key, array, count in ((row_key, rows, len(images)), (label_key, labels, len(class_names))):
        if len(wrong := np.flatnonzero((array < 0) | (array >= count))):
            of = "images" if key == row_key else f"classes ({', '.join(class_names)})"
            raise UserError(f"{path} ({key}), box {wrong[0]}: there is no {array[wrong[0]]} among {count} {of}")

    def annotate(chosen: np.ndarray, size: tuple[int, int]) -> Annotation:
        records = [f"{path} ({box_key}), box {number}" for number in chosen]
        return Annotation.create(boxes[chosen], labels[chosen], crowd[chosen], size, records)

    records = []
    for row, name in enumerate(names):
        read = functools.partial(np.broadcast_to, images[row], (*images.shape[1:3], 3))
        of_image = functools.partial(annotate, np.flatnonzero(rows == row))
        records.append(Record(str(name), f"{name} of {path}", lambda: images.shape[1:3], read, of_image))
    return make_box_source(path.stem, divided_by(words, records, str(path)), class_names, frame, streamed, str(path))
