"""The annotation files of COCO: JSON with images, annotations and categories, beside a folder of images."""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.boxes.assemble import Record, divided_by, make_box_source
from jaxloss.tasks.data.boxes.source import TEST, TRAIN, Annotation, BoxSource
from jaxloss.tasks.data.class_names import checked_class_names
from jaxloss.tasks.data.coco_json import box_of, read_coco_json, value_of
from jaxloss.tasks.data.locate import find_file, find_folder
from jaxloss.tasks.data.masks.files import read_image


def load_coco(
    rest: str,
    data_dir: str | None,
    image_size: tuple[int, int] | None,
    images: str = "",
    test: str = "",
    test_images: str = "",
) -> BoxSource:
    """Reads an annotation file of COCO, and a second one of the images that are tested on, where there is one.

    A `split` of an image record (`train`, `val` or `test`) is minded. Classes are numbered in the order of the ids of the
    categories.

    Args:
      rest: the file, for example `annotations/instances_train2017.json`.
      data_dir: a folder to look in.
      image_size: (height, width) that images are stretched to, or None.
      images: folder of the images; empty for that of the file.
      test: annotation file of the test images; empty where the first file has all there is.
      test_images: their folder; empty for `images`.

    Raises:
      UserError: one line with file and record for what is missing or wrong.

    References:
      T.-Y. Lin et al.: Microsoft COCO: Common Objects in Context, ECCV 2014.
    """
    path = find_file(rest, data_dir)
    folder = find_folder(images, data_dir) if images else path.parent
    content = read_coco_json(path)
    categories = _categories(content, path)
    class_names = checked_class_names([name for _, name in categories], f"{path} (categories)")
    records, words = _records(content, path, folder, categories)
    if not test:
        return make_box_source(path.stem, divided_by(words, records, str(path)), class_names, image_size, str(path))
    test_path = find_file(test, data_dir)
    test_content = read_coco_json(test_path)
    if (other := _categories(test_content, test_path)) != categories:
        raise UserError(f"{test_path} has the categories {other}, but {path} has {categories}")
    test_records, _ = _records(test_content, test_path, find_folder(test_images, data_dir) if test_images else folder, categories)
    return make_box_source(path.stem, {TRAIN: records, TEST: test_records}, class_names, image_size, str(path))


def _categories(content: Mapping[str, Any], path: pathlib.Path) -> list[tuple[int, str]]:
    """Ids and names, by id."""
    found = {}
    for number, record in enumerate(content["categories"]):
        origin = f"{path}, categories[{number}]"
        found[value_of(record, "id", origin)] = str(value_of(record, "name", origin))
    return sorted(found.items())


def _records(
    content: Mapping[str, Any], path: pathlib.Path, folder: pathlib.Path, categories: Sequence[tuple[int, str]]
) -> tuple[list[Record], list[str]]:
    """The images with their annotations, and the split of each."""
    numbers = {identity: number for number, (identity, _) in enumerate(categories)}
    owners: dict[Any, list[tuple[Mapping[str, Any], str]]] = {}
    identities = {value_of(one, "id", f"{path}, images[{number}]") for number, one in enumerate(content["images"])}
    for number, one in enumerate(content["annotations"]):
        origin = f"{path}, annotation {one.get('id', f'[{number}]')}"
        if (image := value_of(one, "image_id", origin)) not in identities:
            raise UserError(f"{origin}: there is no image {image}")
        if (category := value_of(one, "category_id", origin)) not in numbers:
            known = ", ".join(f"{identity} ({name})" for identity, name in categories[:10])
            raise UserError(f"{origin}: there is no category {category}; known are {known}{', ...' * (len(categories) > 10)}")
        box_of(one, origin)
        owners.setdefault(image, []).append((one, origin))

    def annotate(own: Sequence[tuple[Mapping[str, Any], str]], size: tuple[int, int]) -> Annotation:
        boxes = [(x, y, x + width, y + height) for x, y, width, height in (one["bbox"] for one, _ in own)]
        labels = [numbers[one["category_id"]] for one, _ in own]
        crowd = [bool(one.get("iscrowd", 0)) for one, _ in own]
        return Annotation.create(boxes, labels, crowd, size, [origin for _, origin in own])

    records, words = [], []
    for number, image in enumerate(content["images"]):
        origin = f"{path}, images[{number}]"
        file = folder / str(value_of(image, "file_name", origin))
        if not file.is_file():
            raise UserError(f"{origin}: there is no image file {file}")
        own = functools.partial(annotate, owners.get(image["id"], []))
        records.append(Record(file.stem, str(file), functools.partial(read_image, file), own))
        words.append(str(image.get("split", TRAIN)))
    return records, words
