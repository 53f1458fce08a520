"""Sources of images with keypoints: what they hold, how keypoints move with images, and the way back to the file."""

import numpy as np
import pytest

from jaxloss.tasks.data.keypoints.frame import cut_out, stretched
from jaxloss.tasks.data.keypoints.load import load_keypoints
from jaxloss.tasks.data.keypoints.source import Pose
from tests.pose_task import persons, puppets


def pose_of(places):
    keypoints = np.array(places, np.float32)
    return Pose(keypoints, np.ones(len(keypoints), bool), 10.0)


def back(example):
    return example.pose.keypoints * example.scale + example.origin


def brightest(image):
    """x and y of the middle of what is bright."""
    weights = image[..., 0].astype(float)
    y, x = np.indices(weights.shape)
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


@pytest.mark.parametrize("size", [(40, 96), (20, 32), None])
def test_a_stretched_image_has_its_keypoint_where_its_pixel_is(size):
    place = (11, 7)
    example = stretched(persons.marked(20, 32, [place]), pose_of([place]), size)
    assert example.image.shape[:2] == (size or (20, 32))
    np.testing.assert_allclose(example.pose.keypoints[0], brightest(example.image), atol=0.05)
    np.testing.assert_allclose(back(example), [place], atol=1e-5)


@pytest.mark.parametrize("box", [(10, 4, 4, 12), (6, 8, 12, 4), (-2, -2, 30, 24)])
def test_a_person_that_is_cut_out_has_its_keypoint_where_its_pixel_is(box):
    place = (13, 10)
    example = cut_out(persons.marked(20, 32, [place]), pose_of([place]), box, (64, 48))
    np.testing.assert_allclose(example.pose.keypoints[0], brightest(example.image), atol=0.6)
    np.testing.assert_allclose(back(example), [place], atol=1e-4)
    # The middle of the box is the middle of the image, whose proportions are kept; the box with a quarter more just fits in.
    middle = np.array([box[0] + box[2] / 2, box[1] + box[3] / 2]) - 0.5
    np.testing.assert_allclose(np.array([23.5, 31.5]) * example.scale + example.origin, middle, atol=1e-4)
    assert example.scale[0] == example.scale[1] == pytest.approx(1.25 * max(box[2] / 48, box[3] / 64))


def test_an_archive(tmp_path):
    images, keypoints, visible = puppets.puppets(6)
    puppets.write(tmp_path, 6, split=np.array([0, 0, 1, 0, 1, 0]))
    source = load_keypoints(f"npz:{puppets.FILE}", str(tmp_path))
    assert source.keypoint_names == puppets.NAMES
    assert (len(source.train), len(source.test)) == (4, 2)
    np.testing.assert_array_equal(source.test.examples["image"][..., 2], images[[2, 4]])
    np.testing.assert_array_equal(source.train.examples["keypoints"], keypoints[[0, 1, 3, 5]])
    np.testing.assert_array_equal(source.train.examples["visible"], visible[[0, 1, 3, 5]])
    assert np.isnan(source.train.examples["area"]).all()


def test_persons_of_coco(tmp_path):
    source = load_keypoints("coco:persons.json", str(persons.write(tmp_path)), (32, 24))
    assert source.keypoint_names == tuple(persons.NAMES)
    # Neither the crowd nor who shows nothing.
    assert source.train.names == ("a 1", "a 6")
    assert source.test.names == ("b 4",)
    train = source.train.examples
    assert train["image"].shape == (2, 32, 24, 3)
    np.testing.assert_array_equal(train["visible"], [[1, 1, 0], [1, 0, 1]])
    places = train["keypoints"] * train["scale"][:, None] + train["origin"][:, None]
    np.testing.assert_allclose(places[0, :2], [[5, 3], [6, 4]], atol=1e-5)
    np.testing.assert_allclose(train["area"], [20, 20])
    assert train["owner"][0] == train["owner"][1] != source.test.examples["owner"][0] or len(set(train["owner"])) == 1


def test_a_second_file_of_coco_is_the_test(tmp_path):
    persons.write(tmp_path)
    whole = persons.content()
    whole["images"][1].pop("split")
    persons.write(tmp_path, whole)
    alone = load_keypoints("coco:persons.json", str(tmp_path), (32, 24))
    assert (len(alone.train), alone.test) == (3, None)
    both = load_keypoints("coco:persons.json", str(tmp_path), (32, 24), {"test": "persons.json"})
    assert (len(both.train), len(both.test)) == (3, 3)
