"""Images of different sizes in one frame, with their boxes; and read when they are asked for."""

import numpy as np
import pytest

from jaxloss.tasks.data.boxes.load import load_boxes
from jaxloss.tasks.data.stream import StreamedRows
from jaxloss.tasks.detection.splits import place
from tests.box_data.layouts import coco, write_coco
from tests.errors import user_error
from tests.mask_data.layouts import save


def two_sizes():
    """The images b of 12 x 16, c of 12 x 16 and a of 9 x 6 pixels."""
    content = coco()
    content["annotations"] = [
        {"id": 1, "image_id": 7, "category_id": 5, "bbox": [1, 2, 4, 6]},
        {"id": 2, "image_id": 9, "category_id": 2, "bbox": [0, 0, 16, 12], "iscrowd": 1},
        {"id": 4, "image_id": 3, "category_id": 2, "bbox": [8.5, 3, 3, 5]},
    ]
    return content


@pytest.fixture
def folder(tmp_path):
    write_coco(tmp_path, two_sizes())
    save(tmp_path / "images" / "a.png", np.full((9, 6, 3), 200, np.uint8))
    return tmp_path


def load(folder, **options):
    return load_boxes("coco:boxes.json", str(folder), (18, 24), {"images": str(folder / "images")}, **options)


@pytest.mark.parametrize(
    ("fitting", "boxes", "contents"),
    [
        # Twice and 1.5 times as large, padded at the right.
        ("fit", ([2, 4, 10, 16], [12.75, 4.5, 17.25, 12]), ([0, 0, 12, 18], [0, 0, 24, 18])),
        ("pad", ([1, 2, 5, 8], [8.5, 3, 11.5, 8]), ([0, 0, 6, 9], [0, 0, 16, 12])),
        ("stretch", ([4, 4, 20, 16], [12.75, 4.5, 17.25, 12]), ([0, 0, 24, 18], [0, 0, 24, 18])),
    ],
)
def test_boxes_are_where_their_images_are(folder, fitting, boxes, contents):
    source = load(folder, fitting=fitting, padding_pixel=(0.0, 1.0, 0.0))
    arrays = source.train.arrays(1)
    assert arrays["image"].shape == (2, 18, 24, 3)
    np.testing.assert_allclose(arrays["boxes"][:, 0], boxes)
    np.testing.assert_array_equal(arrays["content"], contents)
    for image, content in zip(arrays["image"], arrays["content"].astype(int), strict=True):
        rows, columns = np.mgrid[:18, :24]
        padding = (rows >= content[3]) | (columns >= content[2])
        assert (image[padding] == [0, 255, 0]).all()
        assert (image[~padding, 1] < 255).all()
    np.testing.assert_array_equal(source.test.arrays(1)["content"][0], contents[1])


def test_an_image_that_is_larger_than_its_frame_is_one_line(folder):
    with user_error("b.png is 12 x 16, larger than image_size 10 x 10, and pad does not scale"):
        load_boxes("coco:boxes.json", str(folder), (10, 10), {"images": str(folder / "images")}, fitting="pad")


def test_images_of_different_sizes_are_one_line_without_a_frame(folder):
    with user_error("b.png is 12 x 16, but", "a.png is 9 x 6; give an image_size"):
        load_boxes("coco:boxes.json", str(folder), None, {"images": str(folder / "images")}, streamed=True)


def test_streamed_rows_are_those_of_the_device(folder):
    splits = [{"train": load(folder, fitting="fit", streamed=one).train} for one in (False, True)]
    device, streamed = (place(one, 3, streamed)["train"] for one, streamed in zip(splits, (False, True), strict=True))
    assert isinstance(streamed, StreamedRows)
    assert set(streamed.resident) == {"row", "valid", "crowd"}
    for rows in ([1, 0], [0], [1, 1, 0]):
        found = streamed.read(np.array(rows))
        assert found.keys() == device.keys()
        for name, array in device.items():
            np.testing.assert_array_equal(found[name], array[np.array(rows)])
            assert found[name].dtype == array.dtype


def test_boxes_are_looked_at_when_images_are_streamed_and_pixels_when_they_are_read(folder):
    source = load(folder, streamed=True)
    picture = folder / "images" / "b.png"
    picture.write_bytes(picture.read_bytes()[:-30])
    rows = place({"train": load(folder, streamed=True).train}, 3, True)["train"]
    assert rows.read(np.array([0]))["image"].shape == (1, 18, 24, 3)
    with user_error("image file", "b.png cannot be read"):
        rows.read(np.array([1]))
    assert source.train.num_objects == 2
    broken = two_sizes()
    broken["annotations"][0]["bbox"] = [1, 2, 40, 6]
    write_coco(folder, broken)
    with user_error("annotation 1", "outside of its image"):
        load(folder, streamed=True)
