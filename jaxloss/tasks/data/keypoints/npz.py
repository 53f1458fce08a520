"""Images and keypoints in a NumPy archive: one subject an image."""

import functools

import numpy as np

from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.tasks.data.keypoints.assemble import Record, make_keypoint_source
from jaxloss.tasks.data.keypoints.frame import stretched
from jaxloss.tasks.data.keypoints.source import Example, KeypointSource, Pose, checked_keypoint_names
from jaxloss.tasks.data.locate import find_file
from jaxloss.tasks.data.npz import open_archive
from jaxloss.tasks.data.published_splits import TRAIN, divided_by


def load_npz(
    rest: str,
    data_dir: str | None,
    image_size: tuple[int, int] | None,
    image_key: str = "images",
    keypoint_key: str = "keypoints_xy",
    visible_key: str = "visible",
    keypoint_name_key: str = "keypoint_names",
    area_key: str = "area",
    name_key: str = "frame_names",
    split_key: str = "split",
) -> KeypointSource:
    """Reads images, and the keypoints of one subject in each.

    Args:
      rest: the file; absolute, relative to the working folder, or to be found by `find_file`.
      data_dir: a folder to look in.
      image_size: (height, width) that images are stretched to, and keypoints with them, or None.
      image_key: uint8 `[M, H, W, 3]`, or grey `[M, H, W]`.
      keypoint_key: numbers `[M, K, 2]`: x and y in pixels.
      visible_key: `[M, K]`, whether a keypoint counts.
      keypoint_name_key: texts `[K]`.
      area_key: numbers `[M]`, area of the subject in squared pixels; nobody says it where the key is not there.
      name_key: texts `[M]`; images are numbered where the key is not there.
      split_key: `[M]`, 0 (train) and 1 (val), or the words `train`, `val` and `test`; where the key is not there, all images are
        there to be trained on.

    Raises:
      UserError: one line with file and record for a file or a key that is missing, arrays of another form, and keypoints that are
        wrong.
    """
    path = find_file(rest, data_dir)
    options = {
        "image_key": image_key,
        "keypoint_key": keypoint_key,
        "visible_key": visible_key,
        "keypoint_name_key": keypoint_name_key,
    }
    with open_archive(path) as archive:
        there = archive.files
        for option, key in options.items():
            if key not in there:
                raise UserError(
                    f"data file {path} has no '{key}'.{did_you_mean(key, there)} Name another of its keys with the source option "
                    f"{option}: {', '.join(there)}"
                )
        images, keypoints, visible, keypoint_names = (archive[key] for key in options.values())
        names = archive[name_key].astype(str) if name_key in there else np.arange(len(images)).astype(str)
        words = archive[split_key].astype(str) if split_key in there else [TRAIN] * len(images)
        areas = archive[area_key] if area_key in there else np.full(len(images), np.nan)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise UserError(f"{path} ({image_key}): images must be uint8 [M, H, W, 3], not {images.dtype} {list(images.shape)}")
    count = len(images)
    if keypoints.ndim != 3 or keypoints.shape[::2] != (count, 2) or not keypoints.size or keypoints.dtype.kind not in "iuf":
        raise UserError(
            f"{path} ({keypoint_key}): keypoints must be numbers [{count}, K, 2], not {keypoints.dtype} {list(keypoints.shape)}"
        )
    if visible.shape != keypoints.shape[:2] or visible.dtype.kind not in "biu":
        raise UserError(
            f"{path} ({visible_key}): one bool for each of {list(keypoints.shape[:2])} keypoints, not {visible.dtype} "
            f"{list(visible.shape)}"
        )
    for key, array in ((name_key, names), (split_key, words), (area_key, areas)):
        if len(array) != count:
            raise UserError(f"{path} ({key}): {len(array)} entries for {count} images")
    if areas.ndim != 1 or areas.dtype.kind not in "iuf" or (area_key in there and not (areas > 0).all()):
        raise UserError(f"{path} ({area_key}): one number above 0 for each of {count} images")
    keypoint_names = checked_keypoint_names(keypoint_names.ravel(), keypoints.shape[1], f"{path} ({keypoint_name_key})")

    def read(row: int) -> Example:
        image = np.broadcast_to(images[row], (*images.shape[1:3], 3))
        record = f"{path} ({keypoint_key}), image {names[row]}"
        pose = Pose.create(keypoints[row], visible[row] > 0, image.shape[:2], record, keypoint_names, areas[row])
        return stretched(np.ascontiguousarray(image), pose, image_size)

    records = [Record(str(name), f"image {name} of {path}", row, functools.partial(read, row)) for row, name in enumerate(names)]
    return make_keypoint_source(path.stem, divided_by(words, records, str(path)), keypoint_names, str(path))
