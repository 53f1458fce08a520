"""The keypoint annotations of COCO: every person with a visible keypoint, cut out of the image."""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.coco_json import box_of, read_coco_json, value_of
from jaxloss.tasks.data.keypoints.assemble import Record, make_keypoint_source
from jaxloss.tasks.data.keypoints.frame import cut_out
from jaxloss.tasks.data.keypoints.source import Example, KeypointSource, Pose, checked_keypoint_names
from jaxloss.tasks.data.locate import find_file, find_folder
from jaxloss.tasks.data.masks.files import read_image
from jaxloss.tasks.data.published_splits import TEST, TRAIN, divided_by


def load_coco(
    rest: str,
    data_dir: str | None,
    image_size: tuple[int, int] | None,
    images: str = "",
    test: str = "",
    test_images: str = "",
    category: str = "person",
) -> KeypointSource:
    """Reads a keypoint file of COCO, and a second one of those who are tested on, where there is one.

    Each person is an example, cut out by the true box, see `frame.cut_out`. Crowds, and persons without a visible keypoint, are
    left out. A `split` of an image record (`train`, `val` or `test`) is minded.

    Args:
      rest: the file, for example `annotations/person_keypoints_train2017.json`.
      data_dir: a folder to look in.
      image_size: (height, width) of what is cut out; it has to be given.
      images: folder of the images; empty for that of the file.
      test: keypoint file of the test images; empty where the first file has all there is.
      test_images: their folder; empty for `images`.
      category: whose keypoints; the record of this category names them.

    Raises:
      UserError: one line with file and record for what is missing or wrong.

    References:
      T.-Y. Lin et al.: Microsoft COCO: Common Objects in Context, ECCV 2014.
    """
    if image_size is None:
        raise UserError("persons of COCO are cut out in one size: give an image_size (height, width), such as (256, 192)")
    path = find_file(rest, data_dir)
    folder = find_folder(images, data_dir) if images else path.parent
    names, records, words = _persons(path, folder, category, image_size)
    if not test:
        return make_keypoint_source(path.stem, divided_by(words, records, str(path)), names, str(path))
    test_path = find_file(test, data_dir)
    test_folder = find_folder(test_images, data_dir) if test_images else folder
    test_names, test_records, _ = _persons(test_path, test_folder, category, image_size)
    if test_names != names:
        raise UserError(f"{test_path} has the keypoints {', '.join(test_names)}, but {path} has {', '.join(names)}")
    return make_keypoint_source(path.stem, {TRAIN: records, TEST: test_records}, names, str(path))


def _persons(
    path: pathlib.Path, folder: pathlib.Path, category: str, image_size: tuple[int, int]
) -> tuple[tuple[str, ...], list[Record], list[str]]:
    """The names of the keypoints, all persons that count, and the split of each."""
    content = read_coco_json(path)
    identity, names = _category(content, path, category)
    images: dict[Any, tuple[int, pathlib.Path, str]] = {}
    for number, image in enumerate(content["images"]):
        origin = f"{path}, images[{number}]"
        file = folder / str(value_of(image, "file_name", origin))
        if not file.is_file():
            raise UserError(f"{origin}: there is no image file {file}")
        images[value_of(image, "id", origin)] = number, file, str(image.get("split", TRAIN))
    records, words = [], []
    for number, one in enumerate(content["annotations"]):
        origin = f"{path}, annotation {one.get('id', f'[{number}]')}"
        if value_of(one, "category_id", origin) != identity or one.get("iscrowd", 0):
            continue
        if (image := value_of(one, "image_id", origin)) not in images:
            raise UserError(f"{origin}: there is no image {image}")
        array = _keypoints(one, len(names), origin)
        box = box_of(one, origin)
        if not (array[:, 2] > 0).any():
            continue
        if not (box[2] > 0 and box[3] > 0):
            raise UserError(f"{origin}: the box of {box[2]:g} x {box[3]:g} has no area")
        area = one.get("area", box[2] * box[3])
        if type(area) not in (int, float) or not area > 0:
            raise UserError(f"{origin}: its area must be a number above 0, not {area!r}")
        owner, file, word = images[image]
        read = functools.partial(_read, file, array, box, float(area), origin, names, image_size)
        records.append(Record(f"{file.stem} {one.get('id', number)}", origin, owner, read))
        words.append(word)
    return names, records, words


def _read(
    file: pathlib.Path,
    array: np.ndarray,
    box: list[float],
    area: float,
    origin: str,
    names: tuple[str, ...],
    image_size: tuple[int, int],
) -> Example:
    image = read_image(file)
    pose = Pose.create(array[:, :2], array[:, 2] > 0, image.shape[:2], origin, names, area)
    return cut_out(image, pose, box, image_size)


def _category(content: Mapping[str, Any], path: pathlib.Path, name: str) -> tuple[Any, tuple[str, ...]]:
    """The id of the category, and the names of its keypoints."""
    for number, record in enumerate(content["categories"]):
        origin = f"{path}, categories[{number}]"
        if value_of(record, "name", origin) == name:
            keypoints = value_of(record, "keypoints", origin)
            if not isinstance(keypoints, list) or not keypoints:
                raise UserError(f"{origin}: keypoints must be a list of names, not {keypoints!r}")
            return value_of(record, "id", origin), checked_keypoint_names(keypoints, len(keypoints), origin)
    known = ", ".join(str(record.get("name")) for record in content["categories"][:10])
    raise UserError(f"{path} has no category '{name}'; it has {known}. Name another with the source option category")


def _keypoints(record: Mapping[str, Any], count: int, origin: str) -> np.ndarray:
    """x, y and visibility, float64 `[K, 3]`: 0 where a keypoint is not labelled."""
    values = value_of(record, "keypoints", origin)
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise UserError(f"{origin}: keypoints must be a list of numbers")
    if len(values) != 3 * count:
        raise UserError(f"{origin}: {len(values)} numbers for {count} keypoints: x, y and visibility of each were expected")
    return np.array(values, float).reshape(count, 3)
