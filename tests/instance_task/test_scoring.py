"""Masks in images, and the scores of masks: those of pycocotools with its own files and classes."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as codec
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from jaxloss.tasks.data.instances.bitmaps import encoded
from jaxloss.tasks.detection.nms import Detections
from jaxloss.tasks.instance_segmentation.pasting import paste
from jaxloss.tasks.instance_segmentation.scoring import make_host_metrics
from jaxloss.tasks.instance_segmentation.settings import METRICS
from jaxloss.tasks.instance_segmentation.stages import FoundMasks
from tests.instance_task import reference
from tests.instance_task.shapes import CLASSES, SIZE, box_of, shapes

STATS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
MOST, NUM_IMAGES = 5, 8


@pytest.mark.parametrize("box", [(3.2, 4.7, 21.4, 29.1), (-6, -3.5, 12, 14), (30, 20, 55, 44), (8, 9, 9, 10), (-9, -9, -2, -3)])
def test_masks_are_put_into_their_image(box):
    mask = np.random.default_rng(0).uniform(size=(7, 7)) ** 0.5
    np.testing.assert_array_equal(paste(mask, np.array(box), SIZE), reference.pasted(mask, box, SIZE))


def test_a_box_without_an_area_has_no_pixel():
    for box in ((5, 5, 5, 9), (5, 5, 9, 5), (9, 9, 5, 5)):
        assert not paste(np.ones((4, 4)), np.array(box, float), SIZE).any()


def found_by(random, objects, labels):
    """Detections of an image: some objects found well or badly, some of a wrong class, and things that are made up."""
    boxes, masks, classes = [], [], []
    for mask, label in zip(objects, labels, strict=True):
        if random.uniform() < 0.25:
            continue
        x, y, width, height = box_of(mask)
        cells = np.zeros((28, 28), np.float32)
        for row, column in np.ndindex(28, 28):
            cells[row, column] = mask[int(y + (row + 0.5) * height / 28), int(x + (column + 0.5) * width / 28)]
        moved = random.normal(0, (0.2, 1.5)[random.integers(2)], 4)
        boxes.append(np.array([x, y, x + width, y + height]) + moved)
        masks.append(cells)
        classes.append(label if random.uniform() < 0.85 else 1 - label)
    while len(boxes) < min(len(objects) + 1, MOST):
        boxes.append(np.array([2.0, 3.0, 2.0 + random.uniform(0, 9), 14.0]))
        masks.append(random.uniform(size=(28, 28)).astype(np.float32))
        classes.append(int(random.integers(2)))
    missing = MOST - len(boxes)
    scores = np.concatenate([np.sort(random.uniform(0.1, 1, len(boxes)))[::-1], np.zeros(missing)]).astype(np.float32)
    return (
        np.pad(np.array(boxes, np.float32), ((0, missing), (0, 0))),
        scores,
        np.pad(np.array(classes, np.int32), (0, missing), constant_values=-1),
        np.pad(np.array(masks), ((0, missing), (0, 0), (0, 0))),
    )


@pytest.fixture(scope="module")
def case():
    """True objects by image, examples of the task, and what was found."""
    random = np.random.default_rng(3)
    _, masks, rows, labels, crowd = shapes(NUM_IMAGES)
    objects = [masks[rows == row] for row in range(NUM_IMAGES)]
    most = max(map(len, objects))
    examples = {
        "boxes": np.zeros((NUM_IMAGES, most, 4), np.float32),
        "labels": np.zeros((NUM_IMAGES, most), np.int32),
        "valid": np.arange(most) < np.array([[len(one)] for one in objects]),
        "crowd": np.zeros((NUM_IMAGES, most), bool),
        # In another order than the images are scored in.
        "number": np.arange(NUM_IMAGES, dtype=np.int32)[::-1] + 10,
    }
    for row, own in enumerate(objects):
        for k, mask in enumerate(own):
            x, y, width, height = box_of(mask)
            examples["boxes"][row, k] = x, y, x + width, y + height
        examples["labels"][row, : len(own)], examples["crowd"][row, : len(own)] = labels[rows == row], crowd[rows == row]
    found = [found_by(random, own, examples["labels"][row, : len(own)]) for row, own in enumerate(objects)]
    return objects, examples, [np.stack(parts) for parts in zip(*found, strict=True)]


def our_scores(case, batch_size=3):
    objects, examples, (boxes, scores, labels, masks) = case
    framed = {int(number): [encoded(mask) for mask in own] for number, own in zip(examples["number"], objects, strict=True)}
    metrics = make_host_metrics(
        lambda variables, _: FoundMasks(Detections(*variables[:3]), variables[3]), framed.__getitem__, CLASSES, SIZE, batch_size
    )

    def predictions(first):
        part = [one[first : first + batch_size] for one in (boxes, scores, labels, masks)]
        return [metrics.predict(part, None)]

    (found,) = metrics.scores(predictions, examples)
    assert {*found} == {*METRICS, *(f"ap of {name}" for name in CLASSES)} == {*metrics.names}
    return found


def their_scores(case, kind):
    objects, examples, (boxes, scores, labels, masks) = case
    truth, results = [], []
    for row, own in enumerate(objects):
        for k, mask in enumerate(own):
            code = codec.encode(np.asfortranarray(mask, np.uint8))
            truth.append(
                {"id": len(truth) + 1, "image_id": row, "category_id": int(examples["labels"][row, k]) + 1,
                 "bbox": [*box_of(mask)], "iscrowd": int(examples["crowd"][row, k]), "segmentation": code,
                 "area": float(mask.sum())}
            )  # fmt: skip
        for slot in np.flatnonzero(labels[row] >= 0):
            entry = {"image_id": row, "category_id": int(labels[row, slot]) + 1, "score": float(scores[row, slot])}
            box = boxes[row, slot].astype(float)
            if kind == "segm":
                entry["segmentation"] = codec.encode(np.asfortranarray(reference.pasted(masks[row, slot], box, SIZE), np.uint8))
            else:
                entry["bbox"] = [*box[:2], *(box[2:] - box[:2])]
            results.append(entry)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": row, "height": SIZE[0], "width": SIZE[1]} for row in range(NUM_IMAGES)],
            "annotations": truth,
            "categories": [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.where(evaluation.stats[:6] < 0, np.nan, evaluation.stats[:6])


def test_scores_are_those_of_the_files_of_coco(case):
    ours, theirs = our_scores(case), their_scores(case, "segm")
    np.testing.assert_allclose([ours[name] for name in STATS], theirs, atol=1e-9)
    assert 0.1 < ours["ap"] < 0.9
    assert ours["ap"] == pytest.approx(np.mean([ours[f"ap of {name}"] for name in CLASSES]))
    boxes = their_scores(case, "bbox")
    np.testing.assert_allclose([ours["box_ap"], ours["box_ap50"]], boxes[:2], atol=1e-9)
    assert ours["box_ap"] != ours["ap"]


def test_the_size_of_batches_does_not_matter(case):
    np.testing.assert_equal(our_scores(case, 1), our_scores(case, NUM_IMAGES))
