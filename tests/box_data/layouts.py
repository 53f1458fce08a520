"""Tiny data sets in the layouts of COCO and PASCAL VOC."""

import json

import numpy as np

from tests.mask_data.layouts import image_of, save, write_list

SIZE = (12, 16)


def coco():
    """An annotation file: three images, one of them without boxes, one with a crowd; ids with gaps, categories out of order."""
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "split": "train"},
            {"id": 3, "file_name": "b.png", "split": "train"},
            {"id": 9, "file_name": "c.png", "split": "val"},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 5, "bbox": [1, 2, 6, 4], "iscrowd": 0},
            {"id": 2, "image_id": 9, "category_id": 2, "bbox": [0, 0, 16.4, 12], "iscrowd": 1},
            {"id": 4, "image_id": 7, "category_id": 2, "bbox": [8.5, 3, 3, 5]},
        ],
        "categories": [{"id": 5, "name": "dog"}, {"id": 2, "name": "cat"}],
    }


def changed(place, number, **values):
    """The file of COCO with other values in a record; None takes one out."""
    content = coco()
    record = {**content[place][number], **values}
    content[place][number] = {name: value for name, value in record.items() if value is not None}
    return content


def write_coco(folder, content=None, text=None):
    for shade, name in enumerate("abc"):
        save(folder / "images" / f"{name}.png", image_of(20 * shade))
    path = folder / "boxes.json"
    path.write_text(json.dumps(content or coco()) if text is None else text)
    return path


def xml_of(objects):
    """An annotation of VOC: `(name, (xmin, ymin, xmax, ymax), difficult)` for each object."""
    lines = []
    for name, box, difficult in objects:
        sides = "".join(f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        lines.append(f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{sides}</bndbox></object>")
    return f"<annotation>{''.join(lines)}</annotation>"


def write_voc(folder, first=None):
    """Two training images and a test image; `first` takes the place of the text of the first annotation."""
    texts = {
        "2007_000001": first or xml_of([("cat", (1, 2, 8, 7), 0), ("dog", (9, 1, 16, 12), 1)]),
        "2007_000002": xml_of([]),
        "2007_000003": xml_of([("dog", (3, 3, 5, 9), 0)]),
    }
    for name, text in texts.items():
        save(folder / "JPEGImages" / f"{name}.jpg", np.full((*SIZE, 3), 20 * int(name[-1]), np.uint8))
        path = folder / "Annotations" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for split, names in (("train", list(texts)[:2]), ("val", list(texts)[2:])):
        write_list(folder / "ImageSets" / "Main" / f"{split}.txt", names)
    return folder
