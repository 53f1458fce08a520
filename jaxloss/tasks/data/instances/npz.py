"""Images with a map of segments in a NumPy archive: the form of panoptic annotations."""

import functools

import numpy as np

from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.tasks.data.boxes.assemble import Record, make_box_source
from jaxloss.tasks.data.boxes.source import Annotation, BoxSource
from jaxloss.tasks.data.class_names import checked_class_names
from jaxloss.tasks.data.instances.bitmaps import encoded
from jaxloss.tasks.data.locate import find_file
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.npz import open_archive
from jaxloss.tasks.data.published_splits import TRAIN, divided_by

# Columns of the segments.
IMAGE_ROW, SEGMENT, CATEGORY, IS_THING, IS_CROWD = range(5)
NUM_COLUMNS = 9


def load_npz_instances(
    rest: str,
    data_dir: str | None,
    download: bool,
    frame: Frame,
    streamed: bool,
    image_key: str = "images",
    map_key: str = "segment_map",
    segment_key: str = "segments",
    class_key: str = "category_names",
    name_key: str = "names",
    split_key: str = "split",
) -> BoxSource:
    """Reads images whose pixels say to which segment they belong; things are objects, stuff is background.

    Args:
      rest: the file; absolute, relative to the working folder, or to be found by `find_file`.
      data_dir: a folder to look in.
      download: not used.
      frame: what size images, boxes and masks are brought to.
      streamed: leaves training images where they are.
      image_key: uint8 `[M, H, W, 3]`, or grey `[M, H, W]`.
      map_key: integers `[M, H, W]`: the number of a segment of the image, counted from 1, or 0 for none.
      segment_key: integers `[B, 9]`: row of the image, number of the segment, row of its class, whether it is a thing, whether it
        is a crowd, and its box (x, y, width, height).
      class_key: texts `[C]`, the names of the classes. Those of things are learnt, in this order.
      name_key: texts `[M]`; images are numbered where the key is not there.
      split_key: `[M]`, 0 (train) and 1 (val), or the words `train`, `val` and `test`; where the key is not there, all images are
        there to be trained on.

    Raises:
      UserError: for a file or a key that is missing, arrays of another form, and segments that are wrong.
    """
    del download
    path = find_file(rest, data_dir)
    options = {"image_key": image_key, "map_key": map_key, "segment_key": segment_key, "class_key": class_key}
    with open_archive(path) as archive:
        there = archive.files
        for option, key in options.items():
            if key not in there:
                raise UserError(
                    f"data file {path} has no '{key}'.{did_you_mean(key, there)} Name another of its keys with the source option "
                    f"{option}: {', '.join(there)}"
                )
        images, maps, segments, names_of_classes = (archive[key] for key in options.values())
        further = {key: archive[key] for key in (name_key, split_key) if key in there}
    class_names = checked_class_names(names_of_classes.ravel(), f"{path} ({class_key})")
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[-1] not in (1, 3):
        raise UserError(f"{path} ({image_key}): images must be uint8 [M, H, W, 3], not {images.dtype} {list(images.shape)}")
    if maps.shape != images.shape[:3] or maps.dtype.kind not in "iu":
        raise UserError(
            f"{path} ({map_key}): integers {list(images.shape[:3])}, as the images have them, were expected, not {maps.dtype} "
            f"{list(maps.shape)}"
        )
    if segments.ndim != 2 or segments.shape[1] != NUM_COLUMNS or segments.dtype.kind not in "iu":
        raise UserError(
            f"{path} ({segment_key}): segments must be integers [B, {NUM_COLUMNS}], not {segments.dtype} {list(segments.shape)}"
        )
    for column, count, of in ((IMAGE_ROW, len(images), "images"), (CATEGORY, len(class_names), "classes")):
        if len(wrong := np.flatnonzero((segments[:, column] < 0) | (segments[:, column] >= count))):
            raise UserError(
                f"{path} ({segment_key}), segment {wrong[0]}: there is no {segments[wrong[0], column]} among {count} {of}"
            )
    names = further.get(name_key, np.arange(len(images))).astype(str)
    words = further.get(split_key, np.full(len(images), TRAIN)).astype(str)
    for key, array in ((name_key, names), (split_key, words)):
        if array.shape != (len(images),):
            raise UserError(f"{path} ({key}): one entry for each of {len(images)} images, not {list(array.shape)}")
    things = segments[:, IS_THING] != 0
    learnt = np.unique(segments[things, CATEGORY])
    if not len(learnt):
        raise UserError(f"{path} ({segment_key}): no segment is a thing, and stuff has no masks of single objects")

    def annotate(chosen: np.ndarray, size: tuple[int, int]) -> Annotation:
        records = [f"{path} ({segment_key}), segment {number}" for number in chosen]
        own = segments[chosen]
        masks = [encoded(maps[row] == number) for row, number in own[:, [IMAGE_ROW, SEGMENT]]]
        corners = own[:, 5:7]
        boxes = np.concatenate([corners, corners + own[:, 7:9]], axis=1)
        labels = np.searchsorted(learnt, own[:, CATEGORY])
        return Annotation.create(boxes, labels, own[:, IS_CROWD] != 0, size, records, masks=masks)

    records = []
    for row, name in enumerate(names):
        read = functools.partial(np.broadcast_to, images[row], (*images.shape[1:3], 3))
        of_image = functools.partial(annotate, np.flatnonzero(things & (segments[:, IMAGE_ROW] == row)))
        records.append(Record(str(name), f"{name} of {path}", lambda: images.shape[1:3], read, of_image))
    own_names = tuple(class_names[number] for number in learnt)
    return make_box_source(path.stem, divided_by(words, records, str(path)), own_names, frame, streamed, str(path))
