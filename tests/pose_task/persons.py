"""A tiny keypoint file of COCO: two images with persons, one of them a crowd, one without a visible keypoint."""

import json

import numpy as np

from tests.mask_data.layouts import image_of, save

SIZE = (12, 16)  # that of `image_of`
NAMES = ["nose", "left_eye", "right_eye"]
PARTS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def content():
    person = {"category_id": 1, "iscrowd": 0, "num_keypoints": 2, "area": 20.0}
    return {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 3, "file_name": "b.png", "split": "val"}],
        "annotations": [
            {**person, "id": 1, "image_id": 7, "bbox": [4, 2, 4, 6], "keypoints": [5, 3, 2, 6, 4, 1, 0, 0, 0]},
            {**person, "id": 2, "image_id": 7, "bbox": [0, 0, 3, 3], "keypoints": [0] * 9, "num_keypoints": 0},
            {**person, "id": 4, "image_id": 3, "bbox": [8, 1, 6, 3], "keypoints": [9, 1, 2, 10, 3, 2, 13, 2, 2]},
            {**person, "id": 5, "image_id": 7, "bbox": [1, 1, 9, 9], "keypoints": [1, 1, 2] * 3, "iscrowd": 1},
            {**person, "id": 6, "image_id": 7, "bbox": [10, 5, 4, 4], "keypoints": [11, 6, 2, 0, 0, 0, 12, 7, 2]},
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": NAMES, "skeleton": []}],
    }


def changed(place, number, **values):
    """The file with other values in a record; None takes one out."""
    whole = content()
    record = {**whole[place][number], **values}
    whole[place][number] = {name: value for name, value in record.items() if value is not None}
    return whole


def write(folder, whole=None, text=None):
    for shade, name in enumerate("ab"):
        save(folder / f"{name}.png", image_of(50 * shade))
    (folder / "persons.json").write_text(json.dumps(whole or content()) if text is None else text)
    return folder


def marked(height, width, places):
    """A dark image uint8 with bright pixels at places (x, y)."""
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in places:
        image[y, x] = 255
    return image
