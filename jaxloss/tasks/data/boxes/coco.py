"""The annotation files of COCO: JSON with images, annotations and categories, beside a folder of images."""

import functools
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxloss.core.errors import UserError, unknown
from jaxloss.tasks.data.boxes.assemble import Record, make_box_source
from jaxloss.tasks.data.boxes.source import Annotation, BoxSource
from jaxloss.tasks.data.class_names import checked_class_names
from jaxloss.tasks.data.coco_json import box_of, identity_of, read_coco_json, value_of
from jaxloss.tasks.data.image_files import image_size
from jaxloss.tasks.data.locate import find_file, find_folder
from jaxloss.tasks.data.masks.files import read_image
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.published_splits import TEST, TRAIN, divided_by

# What becomes of boxes without an area, which published annotations may hold.
REFUSE, DROP = EMPTY = ("refuse", "drop")
# `(annotation, (height, width) of its image, file and record) -> its mask`, as `instances.bitmaps` has masks.
ReadMask = Callable[[Mapping[str, Any], tuple[int, int], str], Mapping[str, Any]]


def load_coco(
    rest: str,
    data_dir: str | None,
    download: bool,
    frame: Frame,
    streamed: bool,
    images: str = "",
    test: str = "",
    test_images: str = "",
    empty: str = REFUSE,
) -> BoxSource:
    """Reads an annotation file of COCO, and a second one of the images that are tested on, where there is one.

    A `split` of an image record (`train`, `val` or `test`) is minded. Classes are numbered in the order of the ids of the
    categories.

    Args:
      rest: the file, for example `annotations/instances_train2017.json`.
      data_dir: a folder to look in.
      download: not used.
      frame: what size images, and boxes with them, are brought to.
      streamed: leaves training images where they are.
      images: folder of the images; empty for that of the file.
      test: annotation file of the test images; empty where the first file has all there is.
      test_images: their folder; empty for `images`.
      empty: `refuse` boxes without an area, which are mistakes as a rule, or `drop` them.

    Raises:
      UserError: one line with file and record for what is missing or wrong.

    References:
      T.-Y. Lin et al.: Microsoft COCO: Common Objects in Context, ECCV 2014.
    """
    del download
    return read_coco(rest, data_dir, frame, streamed, images, test, test_images, empty)


def read_coco(
    rest: str,
    data_dir: str | None,
    frame: Frame,
    streamed: bool,
    images: str,
    test: str,
    test_images: str,
    empty: str,
    read_mask: ReadMask | None = None,
) -> BoxSource:
    """Reads what `load_coco` reads, with masks where they are asked for.

    Args:
      rest: the file, for example `annotations/instances_train2017.json`.
      data_dir: a folder to look in.
      frame: what size images, and boxes with them, are brought to.
      streamed: leaves training images where they are.
      images: folder of the images.
      test: annotation file of the test images.
      test_images: their folder.
      empty: what becomes of objects without an area, and of masks without a pixel.
      read_mask: gives the mask of an annotation; None leaves masks out.

    Raises:
      UserError: one line with file and record for what is missing or wrong.
    """
    if empty not in EMPTY:
        raise unknown("source option empty", empty, EMPTY)
    path = find_file(rest, data_dir)
    folder = find_folder(images, data_dir) if images else path.parent
    content = read_coco_json(path)
    categories = _categories(content, path)
    class_names = checked_class_names([name for _, name in categories], f"{path} (categories)")
    records, words = _records(content, path, folder, categories, empty == DROP, read_mask)
    if not test:
        return make_box_source(path.stem, divided_by(words, records, str(path)), class_names, frame, streamed, str(path))
    test_path = find_file(test, data_dir)
    test_content = read_coco_json(test_path)
    if (other := _categories(test_content, test_path)) != categories:
        raise UserError(f"{test_path} has the categories {other}, but {path} has {categories}")
    test_folder = find_folder(test_images, data_dir) if test_images else folder
    test_records, _ = _records(test_content, test_path, test_folder, categories, empty == DROP, read_mask)
    return make_box_source(path.stem, {TRAIN: records, TEST: test_records}, class_names, frame, streamed, str(path))


def _categories(content: Mapping[str, Any], path: pathlib.Path) -> list[tuple[int | str, str]]:
    """Ids and names, by id."""
    found: dict[int | str, str] = {}
    for number, record in enumerate(content["categories"]):
        origin = f"{path}, categories[{number}]"
        if (identity := identity_of(record, "id", origin)) in found:
            raise UserError(f"{origin}: the id {identity} is that of '{found[identity]}' already")
        found[identity] = str(value_of(record, "name", origin))
    return sorted(found.items(), key=lambda one: (isinstance(one[0], str), one[0]))


def _owned(
    content: Mapping[str, Any], path: pathlib.Path, categories: Sequence[tuple[int | str, str]]
) -> dict[int | str, list[tuple[Mapping[str, Any], str]]]:
    """The annotations of each image, each with what an error line calls it."""
    owners: dict[int | str, list[tuple[Mapping[str, Any], str]]] = {}
    for number, one in enumerate(content["images"]):
        origin = f"{path}, images[{number}]"
        if (identity := identity_of(one, "id", origin)) in owners:
            raise UserError(f"{origin}: another image has the id {identity} already")
        owners[identity] = []
    known = dict(categories)
    for number, one in enumerate(content["annotations"]):
        origin = f"{path}, annotation {one.get('id', f'[{number}]')}"
        if (image := identity_of(one, "image_id", origin)) not in owners:
            raise UserError(f"{origin}: there is no image {image}")
        if (category := identity_of(one, "category_id", origin)) not in known:
            named = ", ".join(f"{identity} ({name})" for identity, name in categories[:10])
            raise UserError(f"{origin}: there is no category {category}; known are {named}{', ...' * (len(categories) > 10)}")
        box_of(one, origin)
        if one.get("iscrowd", 0) not in (0, 1):
            raise UserError(f"{origin}: iscrowd must be 0 or 1, not {json.dumps(one['iscrowd'])}")
        owners[image].append((one, origin))
    return owners


def _records(
    content: Mapping[str, Any],
    path: pathlib.Path,
    folder: pathlib.Path,
    categories: Sequence[tuple[int | str, str]],
    drop_empty: bool,
    read_mask: ReadMask | None,
) -> tuple[list[Record], list[str]]:
    """The images with their annotations, and the split of each."""
    numbers = {identity: number for number, (identity, _) in enumerate(categories)}
    owners = _owned(content, path, categories)

    def annotate(image: Mapping[str, Any], origin: str, size: tuple[int, int]) -> Annotation:
        said = image.get("height", size[0]), image.get("width", size[1])
        if said != size:
            written = " x ".join(json.dumps(one) for one in said)
            raise UserError(f"{origin}: the image is {size[0]} x {size[1]}, and not {written} as the record says")
        own = owners[image["id"]]
        boxes = [(x, y, x + width, y + height) for x, y, width, height in (one["bbox"] for one, _ in own)]
        labels = [numbers[one["category_id"]] for one, _ in own]
        crowd = [bool(one.get("iscrowd", 0)) for one, _ in own]
        masks = None if read_mask is None else [read_mask(one, size, origin) for one, origin in own]
        return Annotation.create(boxes, labels, crowd, size, [origin for _, origin in own], drop_empty, masks)

    records, words = [], []
    for number, image in enumerate(content["images"]):
        origin = f"{path}, images[{number}]"
        name = value_of(image, "file_name", origin)
        if not isinstance(name, str) or not (file := folder / name).is_file():
            raise UserError(f"{origin}: there is no image file {folder / str(name)}")
        size, read = functools.partial(image_size, file), functools.partial(read_image, file)
        records.append(Record(file.stem, str(file), size, read, functools.partial(annotate, image, origin)))
        words.append(str(image.get("split", TRAIN)))
    return records, words
