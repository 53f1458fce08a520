"""Sources with masks: polygons, run lengths and maps of segments say the same, also where images are scaled and mirrored."""

import json

import jax
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as codec

from jaxloss.tasks.data.boxes.augment import flip
from jaxloss.tasks.data.boxes.load import load_boxes
from jaxloss.tasks.data.instances.arrays import InstanceRows, TrueMasks, instance_arrays, numbered
from jaxloss.tasks.data.instances.bitmaps import decoded, encoded, in_box
from jaxloss.tasks.data.instances.load import INSTANCE_SOURCES
from tests.errors import user_error
from tests.instance_task.shapes import CLASSES, FILE, SIZE, archive, box_of, shapes, write

COUNT = 6
TRIANGLE = [4, 5, 20, 5, 4, 25]


def load(name, folder, **options):
    return load_boxes(name, str(folder), sources=INSTANCE_SOURCES, **options)


def runs(mask):
    """Run lengths, not compressed."""
    flat = mask.T.ravel()
    places = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *places, flat.size]).tolist()
    return {"size": [*mask.shape], "counts": [0, *lengths] if flat[0] else lengths}


def write_coco(folder, count=COUNT, change=None):
    """The shapes as COCO has them: every second mask compressed; `change` is called with the annotations."""
    images, masks, rows, labels, crowd = shapes(count)
    for row in range(count):
        Image.fromarray(images[row]).save(folder / f"{row}.png")
    annotations = []
    for number, (mask, row, label, is_crowd) in enumerate(zip(masks, rows, labels, crowd, strict=True)):
        packed = codec.encode(np.asfortranarray(mask, np.uint8))
        code = {"size": packed["size"], "counts": packed["counts"].decode()} if number % 2 else runs(mask)
        record = {"id": number, "image_id": int(row), "category_id": int(label) + 1, "iscrowd": int(is_crowd)}
        annotations.append(record | {"bbox": box_of(mask), "segmentation": code})
    if change:
        change(annotations)
    content = {
        "images": [{"id": row, "file_name": f"{row}.png", "height": SIZE[0], "width": SIZE[1]} for row in range(count)],
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def test_run_lengths_and_segments_say_the_same(tmp_path):
    write(tmp_path, COUNT)
    write_coco(tmp_path)
    _, masks, rows, labels, _ = shapes(COUNT)
    sources = [load(f"npz:{FILE}", tmp_path), load("coco:instances.json", tmp_path)]
    for source in sources:
        assert source.class_names == CLASSES
        for row, one in enumerate(source.train.annotations):
            np.testing.assert_array_equal(one.labels, labels[rows == row])
            np.testing.assert_array_equal(np.reshape([decoded(mask) for mask in one.masks], (-1, *SIZE)), masks[rows == row])
            boxes = np.reshape([box_of(mask) for mask in masks[rows == row]], (-1, 4))
            np.testing.assert_array_equal(one.boxes, np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))


def test_polygons_are_decoded_as_pycocotools_does(tmp_path):
    def change(annotations):
        annotations[0]["segmentation"] = [TRIANGLE, [30, 2, 35, 2, 35, 8, 30, 8]]
        annotations[0]["bbox"] = [4, 2, 31, 23]

    source = load("coco:instances.json", write_coco(tmp_path, change=change))
    found = decoded(source.train.annotations[1].masks[0])
    wanted = codec.decode(codec.merge(codec.frPyObjects([TRIANGLE, [30, 2, 35, 2, 35, 8, 30, 8]], *SIZE)))
    np.testing.assert_array_equal(found, wanted)
    assert found[6, 6]
    assert found[4, 32]
    assert not found[20, 20]


def test_masks_in_boxes_do_not_depend_on_the_size_of_images(tmp_path):
    write(tmp_path, COUNT)
    plain, larger = (load(f"npz:{FILE}", tmp_path, image_size=size, fitting="fit") for size in (None, (64, 100)))
    one, other = (instance_arrays(source.train, source.most_boxes, 12) for source in (plain, larger))
    np.testing.assert_allclose(other["boxes"], 2 * one["boxes"])
    np.testing.assert_array_equal(one["masks"], other["masks"])
    assert one["masks"].any(axis=(2, 3))[one["valid"]].all()
    assert not one["masks"][~one["valid"]].any()
    numbers = numbered(larger)
    framed = TrueMasks(numbers, (64, 100))
    for annotation in numbers.train.annotations:
        for mask, true in zip(annotation.masks, framed(annotation.number), strict=True):
            wanted = np.zeros((64, 100), bool)
            wanted[:, :80] = decoded(mask).repeat(2, axis=0).repeat(2, axis=1)
            np.testing.assert_array_equal(decoded(true), wanted)


def test_rows_that_are_streamed_are_those_of_the_arrays(tmp_path):
    source = numbered(load(f"npz:{FILE}", write(tmp_path, COUNT)))
    arrays = {"image": source.train.images, **instance_arrays(source.train, source.most_boxes, 10)}
    rows = InstanceRows(source.train, source.most_boxes, 10)
    assert len(rows) == COUNT
    for row in range(COUNT):
        own = rows[row]
        assert own.keys() == arrays.keys()
        for name, array in own.items():
            np.testing.assert_array_equal(array, arrays[name][row])


def test_a_mirrored_image_has_mirrored_masks(tmp_path):
    source = load(f"npz:{FILE}", write(tmp_path, COUNT))
    batch = {"image": source.train.images, **instance_arrays(source.train, source.most_boxes, 12)}
    found = jax.device_get(jax.jit(flip)(batch, jax.random.key(1)))
    turned = [not np.array_equal(one, other) for one, other in zip(batch["image"], found["image"], strict=True)]
    assert 0 < sum(turned) < COUNT
    for row, is_turned in enumerate(turned):
        for k, mask in enumerate(source.train.annotations[row].masks):
            whole = decoded(mask)[:, ::-1] if is_turned else decoded(mask)
            np.testing.assert_array_equal(found["masks"][row, k], in_box(encoded(whole), found["boxes"][row, k], 12))


def set_to(name, value, number=1):
    return lambda annotations: annotations[number].update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_to("segmentation", [[1, 2, 3, 4]]), "polygon 0: a polygon has three points at least, not 2"),
        (set_to("segmentation", [TRIANGLE, [1, 2, 3]]), "polygon 1: x and y of each point in one list were expected"),
        (set_to("segmentation", []), "segmentation has no polygon"),
        (set_to("segmentation", "here"), 'must be polygons, or run lengths with size and counts, not "here"'),
        (set_to("segmentation", {"size": [40, 32], "counts": [1280]}), "of [40, 32] (height, width), and the image is [32, 40]"),
        (set_to("segmentation", {"size": [*SIZE], "counts": [1000, 281]}), "have 1281 pixels, and the image 1280"),
        (set_to("segmentation", {"size": [*SIZE], "counts": "Z2"}), "have 74 pixels, and the image 1280"),
        (set_to("segmentation", {"size": [*SIZE], "counts": "no code!"}), "a list of numbers or their compressed text"),
        (set_to("segmentation", {"size": [*SIZE], "counts": [1280]}), "the mask has no pixel"),
        (lambda annotations: annotations[1].pop("segmentation"), "lacks 'segmentation'"),
    ],
)  # fmt: skip
def test_mistakes_of_masks_are_one_line(tmp_path, change, message):
    write_coco(tmp_path, change=change)
    with user_error("instances.json, annotation 1", message):
        load("coco:instances.json", tmp_path)


def test_masks_without_a_pixel_are_left_out_where_that_is_asked_for(tmp_path):
    write_coco(tmp_path, change=set_to("segmentation", {"size": [*SIZE], "counts": [1280]}))
    source = load("coco:instances.json", tmp_path, options={"empty": "drop"})
    assert source.train.num_objects == sum(one.num_objects for one in source.train.annotations)
    assert sum(len(one.masks) for one in source.train.annotations) == len(shapes(COUNT)[1]) - 1


SEGMENTS = archive(COUNT)["segments"]


def changed_segment(column, value):
    segments = SEGMENTS.copy()
    segments[0, column] = value
    return segments


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"segment_map": None}, "has no 'segment_map'"),
        ({"segment_map": np.zeros((COUNT, 4, 4), np.uint8)}, "(segment_map): integers [6, 32, 40], as the images have them"),
        ({"segments": SEGMENTS[:, :5]}, "(segments): segments must be integers [B, 9]"),
        ({"segments": changed_segment(0, 77)}, "(segments), segment 0: there is no 77 among 6 images"),
        ({"segments": changed_segment(2, 9)}, "(segments), segment 0: there is no 9 among 3 classes"),
        ({"segments": changed_segment(1, 99)}, "(segments), segment 0: the mask has no pixel"),
        ({"segments": SEGMENTS * (np.arange(9) != 3)}, "no segment is a thing"),
    ],
)
def test_mistakes_of_segments_are_one_line(tmp_path, changed, message):
    with user_error(FILE, message):
        load(f"npz:{FILE}", write(tmp_path, COUNT, **changed))
