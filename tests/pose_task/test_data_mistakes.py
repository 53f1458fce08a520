"""Mistakes in images and keypoints are one line with file and record."""

import numpy as np
import pytest

from jaxloss.tasks.data.keypoints.load import load_keypoints
from tests.errors import user_error
from tests.pose_task import persons, puppets
from tests.pose_task.persons import changed

IMAGES, KEYPOINTS, VISIBLE = puppets.puppets(4)


def with_place(value):
    keypoints = KEYPOINTS.copy()
    keypoints[2, 1] = value
    return keypoints


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        ({"keypoints_xy": with_place((45, 3))}, ("image 2: the keypoint right_hand (45, 3)", "outside of its image", "32 x 40")),
        ({"keypoints_xy": with_place((3, -2))}, ("image 2: the keypoint right_hand (3, -2) is marked as visible",)),
        ({"keypoints_xy": with_place((np.nan, 3))}, ("image 2: the visible keypoint right_hand (nan, 3)",)),
        ({"keypoints_xy": KEYPOINTS[..., :1]}, ("keypoints must be numbers [4, K, 2], not float32 [4, 4, 1]",)),
        ({"visible": VISIBLE[:, :3]}, ("(visible): one bool for each of [4, 4] keypoints, not bool [4, 3]",)),
        ({"keypoint_names": np.array(["a", "b"])}, ("(keypoint_names): 2 names for 4 keypoints",)),
        ({"keypoint_names": np.array(["a", "b", "a", "c"])}, ("holds 'a' twice",)),
        ({"keypoint_names": None}, ("has no 'keypoint_names'", "keypoint_name_key")),
        ({"split": np.ones(4, int)}, ("there are no training images",)),
        ({"split": np.array([0, 0, 1])}, ("(split): 3 entries for 4 images",)),
        ({"split": np.array([0, 0, 1, 7])}, ("the split of 3 is '7'",)),
        ({"images": IMAGES.astype(np.float32)}, ("images must be uint8",)),
        ({"area": np.zeros(4)}, ("(area): one number above 0 for each of 4 images",)),
    ],
)
def test_what_is_wrong_in_an_archive(tmp_path, arrays, parts):
    puppets.write(tmp_path, 4, **arrays)
    with user_error(puppets.FILE, *parts):
        load_keypoints(f"npz:{puppets.FILE}", str(tmp_path))


def test_a_place_that_is_not_visible_may_be_anywhere(tmp_path):
    keypoints = KEYPOINTS.copy()
    keypoints[0] = np.nan
    puppets.write(tmp_path, 4, keypoints_xy=keypoints)
    source = load_keypoints(f"npz:{puppets.FILE}", str(tmp_path))
    assert not source.train.examples["keypoints"][0].any()


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        (changed("annotations", 0, keypoints=[5, 3, 2, 60, 4, 1, 0, 0, 0]), ("annotation 1: the keypoint left_eye (60, 4)",)),
        (changed("annotations", 0, keypoints=[5, 3, 2]), ("annotation 1: 3 numbers for 3 keypoints",)),
        (changed("annotations", 0, keypoints=None), ("annotation 1 lacks 'keypoints'",)),
        (changed("annotations", 0, keypoints=["a"] * 9), ("annotation 1: keypoints must be a list of numbers",)),
        (changed("annotations", 0, bbox=[1, 2]), ("annotation 1: bbox must be [x, y, width, height]",)),
        (changed("annotations", 0, bbox=[1, 2, 0, 3]), ("annotation 1: the box of 0 x 3 has no area",)),
        (changed("annotations", 0, area=-1), ("annotation 1: its area must be a number above 0, not -1",)),
        (changed("annotations", 0, image_id=8), ("annotation 1: there is no image 8",)),
        (changed("images", 0, file_name="c.png"), ("images[0]: there is no image file", "c.png")),
        (changed("images", 1, split="some"), ("the split of b 4 is 'some'",)),
        (changed("categories", 0, name="dog"), ("has no category 'person'; it has dog",)),
        (changed("categories", 0, keypoints=None), ("categories[0] lacks 'keypoints'",)),
        (changed("categories", 0, keypoints=["a", "b", "a"]), ("categories[0]", "'a' twice")),
    ],
)
def test_what_is_wrong_in_a_file_of_coco(tmp_path, whole, parts):
    persons.write(tmp_path, whole)
    with user_error("persons.json", *parts):
        load_keypoints("coco:persons.json", str(tmp_path), (32, 24))


@pytest.mark.parametrize("text", ["{", "[1, 2]"])
def test_a_file_that_is_no_json_of_coco(tmp_path, text):
    persons.write(tmp_path, text=text)
    with user_error("persons.json", "is no JSON" if text == "{" else "not in the form of COCO"):
        load_keypoints("coco:persons.json", str(tmp_path), (32, 24))


def test_other_mistakes(tmp_path):
    persons.write(tmp_path)
    with user_error("unknown keypoint source 'yolo:x'"):
        load_keypoints("yolo:x")
    with user_error("no data file 'x.npz'"):
        load_keypoints("npz:x.npz", str(tmp_path))
    with user_error("give an image_size"):
        load_keypoints("coco:persons.json", str(tmp_path))
    nobody = persons.content()
    nobody["annotations"] = nobody["annotations"][1:2]
    persons.write(tmp_path, nobody)
    with user_error("persons.json", "there are no training images"):
        load_keypoints("coco:persons.json", str(tmp_path), (32, 24))
