"""Images with boxes from archives, COCO's JSON and VOC's XML; the changes of training."""

import jax
import numpy as np
import pytest

from jaxloss.tasks.data.boxes.augment import flip
from jaxloss.tasks.data.boxes.load import load_boxes
from tests.box_data.layouts import coco, write_coco, write_voc
from tests.detection_task.cells import cells, write

OPTIONS = {"images": "images"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def test_an_archive_gives_each_image_its_boxes(folder):
    images, boxes, rows, labels, crowd = cells(6)
    write(folder, 6, split=np.array([0, 0, 0, 0, 1, 1]))
    source = load_boxes("npz:cells.npz", str(folder))
    assert (source.class_names, len(source.train), len(source.test)) == (("bar", "square"), 4, 2)
    arrays = source.train.arrays(source.most_boxes)
    np.testing.assert_array_equal(arrays["image"], images[:4])
    assert not arrays["valid"][0].any()
    for row in range(4):
        valid = arrays["valid"][row]
        np.testing.assert_array_equal(arrays["boxes"][row, valid], boxes[rows == row])
        np.testing.assert_array_equal(arrays["labels"][row, valid], labels[rows == row])
        np.testing.assert_array_equal(arrays["crowd"][row, valid], crowd[rows == row])
        assert not arrays["boxes"][row, ~valid].any()
    assert arrays["crowd"][2].sum() == 1
    assert source.test.arrays(9)["boxes"].shape == (2, 9, 4)


def test_an_archive_without_splits_and_crowds_is_all_for_training(folder):
    source = load_boxes("npz:cells.npz", str(write(folder, 4, box_crowd=None)))
    assert source.test is None
    assert source.train.names == ("0", "1", "2", "3")
    assert not any(one.crowd.any() for one in source.train.annotations)


def test_coco_is_read_as_it_is_written(folder):
    write_coco(folder)
    source = load_boxes("coco:boxes.json", str(folder), None, {"images": str(folder / "images")})
    # By the ids of the categories.
    assert source.class_names == ("cat", "dog")
    assert (source.train.names, source.test.names) == (("a", "b"), ("c",))
    first, second = source.train.annotations
    np.testing.assert_array_equal(first.boxes, [[1, 2, 7, 6], [8.5, 3, 11.5, 8]])
    np.testing.assert_array_equal(first.labels, [1, 0])
    assert second.boxes.shape == (0, 4)
    (crowd,) = source.test.annotations
    # What sticks out by rounding is cut.
    np.testing.assert_array_equal(crowd.boxes, [[0, 0, 16, 12]])
    assert crowd.crowd.all()
    np.testing.assert_array_equal(source.train.images[:, 0, 0, 0], [0, 20])


def test_a_second_file_of_coco_is_the_test_set(folder):
    content = coco()
    for image in content["images"]:
        del image["split"]
    path = write_coco(folder, content)
    path.with_name("test.json").write_text(path.read_text())
    options = {"images": str(folder / "images"), "test": "test.json"}
    source = load_boxes("coco:boxes.json", str(folder), None, options)
    assert (len(source.train), len(source.test)) == (3, 3)


def test_voc_counts_from_one_and_difficult_objects_are_left_out(folder):
    write_voc(folder / "VOC")
    source = load_boxes("voc:VOC", str(folder))
    assert (len(source.train), len(source.test), source.num_classes) == (2, 1, 20)
    first, second = source.train.annotations
    np.testing.assert_array_equal(first.boxes, [[0, 1, 8, 7], [8, 0, 16, 12]])
    assert [source.class_names[label] for label in first.labels] == ["cat", "dog"]
    assert first.crowd.tolist() == [False, True]
    assert not len(second.boxes)


def test_boxes_are_stretched_with_their_images(folder):
    write_voc(folder / "VOC")
    source = load_boxes("voc:VOC", str(folder), (24, 8))
    assert source.train.images.shape == (2, 24, 8, 3)
    np.testing.assert_array_equal(source.train.annotations[0].boxes, [[0, 2, 4, 14], [4, 0, 8, 24]])


def test_a_mirrored_image_has_mirrored_boxes(folder):
    """The pixels inside of every box are those of before, the other way round; padding stays at zero."""
    source = load_boxes("npz:cells.npz", str(write(folder)))
    batch = source.train.arrays(source.most_boxes)
    changed = {name: np.asarray(array) for name, array in jax.jit(flip)(batch, jax.random.key(0)).items()}
    mirrored = [not np.array_equal(*pair) for pair in zip(batch["image"], changed["image"], strict=True)]
    assert 0 < sum(mirrored) < len(mirrored)
    for row, is_mirrored in enumerate(mirrored):
        for k in np.flatnonzero(batch["valid"][row]):
            before, after = (
                one["image"][row][
                    slice(*one["boxes"][row, k][[1, 3]].astype(int)), slice(*one["boxes"][row, k][[0, 2]].astype(int))
                ]
                for one in (batch, changed)
            )
            np.testing.assert_array_equal(after, before[:, ::-1] if is_mirrored else before)
    assert not changed["boxes"][~batch["valid"]].any()
    np.testing.assert_array_equal(changed["labels"], batch["labels"])
