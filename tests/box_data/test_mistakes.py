"""Mistakes in images and boxes are one line with file and record."""

import numpy as np
import pytest

from jaxloss.tasks.data.boxes.load import load_boxes
from tests.box_data.layouts import changed, coco, write_coco, write_voc, xml_of
from tests.detection_task.cells import cells, write
from tests.errors import user_error


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (changed("annotations", 0, bbox=[10, 2, 9, 4]), ("annotation 1", "10, 2, 19, 6", "outside of its image", "12 x 16")),
        (changed("annotations", 0, bbox=[-3, 2, 9, 4]), ("annotation 1", "outside of its image")),
        (changed("annotations", 0, bbox=[3, 2, 0, 4]), ("annotation 1", "(3, 2, 3, 6)", "has no area")),
        (changed("annotations", 0, bbox=[16.5, 2, 0.3, 4]), ("annotation 1", "no area inside of its image")),
        (changed("annotations", 0, bbox=[3, 2, float("nan"), 4]), ("annotation 1", "not made of numbers")),
        (changed("annotations", 0, bbox=[3, 2, 4]), ("annotation 1", "bbox must be [x, y, width, height]")),
        (changed("annotations", 0, bbox=None), ("annotation 1", "lacks 'bbox'")),
        (changed("annotations", 2, category_id=6), ("annotation 4", "there is no category 6", "2 (cat), 5 (dog)")),
        (changed("annotations", 2, image_id=8), ("annotation 4", "there is no image 8")),
        (changed("annotations", 2, id=None, image_id=8), ("annotation [2]", "there is no image 8")),
        (changed("images", 1, file_name="d.png"), ("images[1]", "there is no image file", "d.png")),
        (changed("images", 1, id=None), ("images[1]", "lacks 'id'")),
        (changed("images", 1, split="some"), ("the split of b is 'some'",)),
        (changed("categories", 0, name="cat"), ("categories", "'cat' twice")),
        (changed("images", 0, id=[7]), ("images[0]", "id must be a whole number or a text, not [7]")),
        (changed("images", 1, id=7), ("images[1]", "another image has the id 7 already")),
        (changed("images", 0, height=99, width=16), ("images[0]", "the image is 12 x 16, and not 99 x 16 as the record says")),
        (changed("images", 0, file_name=3), ("images[0]", "there is no image file")),
        (changed("categories", 1, id=5), ("categories[1]", "the id 5 is that of 'dog' already")),
        (changed("annotations", 0, image_id=[7]), ("annotation 1", "image_id must be a whole number or a text, not [7]")),
        (changed("annotations", 0, category_id={}), ("annotation 1", "category_id must be a whole number or a text, not {}")),
        (changed("annotations", 0, iscrowd="yes"), ("annotation 1", 'iscrowd must be 0 or 1, not "yes"')),
        (changed("annotations", 0, bbox=[1e300, 2, 3, 4]), ("annotation 1", "not made of numbers")),
        (changed("annotations", 0, bbox=[5, 5, -3, 4]), ("annotation 1", "(5, 5, 2, 9)", "has no area")),
        ({**coco(), "annotations": []}, ("no image that is trained on has a box",)),
        ({**coco(), "annotations": 3}, ("not in the form of COCO", "lacks the list 'annotations'")),
        ({**coco(), "images": [3]}, ("images[0]", "a record with names was expected")),
    ],
)
def test_what_is_wrong_in_a_file_of_coco(tmp_path, content, parts):
    write_coco(tmp_path, content)
    with user_error("boxes.json", *parts):
        load_boxes("coco:boxes.json", str(tmp_path), None, {"images": str(tmp_path / "images")})


@pytest.mark.parametrize("text", ["{", "", "no json", "[" * 100_000, "[1, 2]"])
def test_a_file_that_is_no_json_of_coco(tmp_path, text):
    write_coco(tmp_path, text=text)
    with user_error("boxes.json", "is no JSON" if text != "[1, 2]" else "not in the form of COCO"):
        load_boxes("coco:boxes.json", str(tmp_path))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (xml_of([("cat", (1, 2, 18, 7), 0)]), ("object 0", "outside of its image")),
        (xml_of([("dog", (1, 1, 4, 4), 0), ("cat", (9, 2, 8, 7), 0)]), ("object 1", "has no area")),
        (xml_of([("unicorn", (1, 2, 8, 7), 0)]), ("object 0", "there is no class 'unicorn'")),
        (xml_of([("cat", (1, 2, "wide", 7), 0)]), ("object 0", "lacks a number")),
        (xml_of([("cat", (1, 2, 8, 7), "maybe")]), ("object 0", "difficult must be 0 or 1, not 'maybe'")),
        ("<annotation><object>", ("is no XML",)),
        ("<html></html>", ("not in the form of PASCAL VOC", "'html'")),
        ("<annotation><size><width>99</width></size></annotation>", ("the image is 12 x 16, and not 12 x 99 as",)),
    ],
)
def test_what_is_wrong_in_a_file_of_voc(tmp_path, text, parts):
    write_voc(tmp_path / "VOC", text)
    with user_error("2007_000001.xml", *parts):
        load_boxes("voc:VOC", str(tmp_path))


def test_a_folder_of_voc_that_lacks_something(tmp_path):
    write_voc(tmp_path / "VOC")
    (tmp_path / "VOC" / "JPEGImages" / "2007_000002.jpg").unlink()
    with user_error("1 of 4 files", "2007_000002.jpg"):
        load_boxes("voc:VOC", str(tmp_path))
    with user_error("is not in the layout of PASCAL VOC", "Annotations"):
        load_boxes("voc:.", str(tmp_path / "VOC" / "ImageSets"))


IMAGES, BOXES, ROWS, LABELS, _ = cells(4)


def with_first(array, value):
    return np.concatenate([[value], array[1:]]).astype(array.dtype)


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        ({"boxes_xyxy": with_first(BOXES, [5, 5, 5, 9])}, ("(boxes_xyxy), box 0", "has no area")),
        ({"boxes_xyxy": with_first(BOXES, [5, 5, 60, 9])}, ("(boxes_xyxy), box 0", "outside of its image")),
        ({"box_label": with_first(LABELS, 2)}, ("(box_label), box 0", "there is no 2 among 2 classes (bar, square)")),
        ({"box_image": with_first(ROWS, 4)}, ("(box_image), box 0", "there is no 4 among 4 images")),
        ({"box_image": ROWS[1:]}, ("(box_image)", "one integer for each")),
        ({"boxes_xyxy": BOXES[:, :3]}, ("boxes must be numbers [B, 4]",)),
        ({"images": IMAGES.astype(np.float32)}, ("images must be uint8",)),
        ({"boxes_xyxy": None}, ("has no 'boxes_xyxy'", "box_key")),
        ({"split": np.array([0, 0, 5, 1])}, ("the split of 2 is '5'",)),
        ({"split": np.zeros((4, 1))}, ("(split): one entry for each of 4 images, not [4, 1]",)),
        ({"images": np.array(1, np.uint8)}, ("(images): an array was expected, not a single uint8",)),
        (
            {"boxes_xyxy": BOXES[:0], "box_image": ROWS[:0], "box_label": LABELS[:0], "box_crowd": None},
            ("no image that is trained on has a box",),
        ),
        ({"split": np.array([0, 1])}, ("(split): one entry for each of 4 images, not [2]",)),
    ],
)
def test_what_is_wrong_in_an_archive(tmp_path, arrays, parts):
    write(tmp_path, 4, **arrays)
    with user_error("cells.npz", *parts) as caught:
        load_boxes("npz:cells.npz", str(tmp_path))
    assert str(caught.value).count("cells.npz") == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_a_file_that_is_no_image(tmp_path, streamed):
    write_coco(tmp_path)
    (tmp_path / "images" / "b.png").write_bytes(b"no image")
    with user_error("image file", "b.png cannot be read"):
        load_boxes("coco:boxes.json", str(tmp_path), None, {"images": str(tmp_path / "images")}, streamed=streamed)


def test_other_mistakes(tmp_path):
    with user_error("unknown box source 'yolo:x'"):
        load_boxes("yolo:x")
    with user_error("no data file 'x.json'"):
        load_boxes("coco:x.json", str(tmp_path))
    with user_error("Did you mean 'images'"):
        load_boxes("coco:x.json", str(tmp_path), None, {"image": "x"})
