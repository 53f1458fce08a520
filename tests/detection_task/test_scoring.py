"""Scores by COCO's evaluator: what reaches it is what its own files would, crowds and images without boxes too."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from jaxloss.tasks.detection.common_settings import METRICS as CHOICES
from jaxloss.tasks.detection.nms import Detections
from jaxloss.tasks.detection.scoring import METRICS, make_host_metrics

CLASSES = ("a", "b", "c")


def truth(random, count=7, most=5):
    """Padded boxes of images; the first has none, some are crowds; class c does not occur."""
    corner = random.uniform(0, 100, (count, most, 2))
    boxes = np.concatenate([corner, corner + random.choice([10, 50, 120], (count, most, 1)) * np.ones(2)], axis=-1)
    valid = np.arange(most) < random.integers(1, most + 1, (count, 1))
    valid[0] = False
    labels, crowd = random.integers(2, size=(count, most)), random.uniform(size=(count, most)) < 0.15
    return {"boxes": boxes.astype(np.float32), "labels": labels, "valid": valid, "crowd": crowd & valid}


def guesses(random, examples):
    """True boxes, shifted, and wrong ones; padded."""
    boxes = np.concatenate([examples["boxes"] + random.normal(0, 4, examples["boxes"].shape), examples["boxes"] + 60], axis=1)
    labels = np.concatenate([examples["labels"], random.integers(3, size=examples["labels"].shape)], axis=1)
    there = np.concatenate([examples["valid"], random.uniform(size=examples["valid"].shape) < 0.5], axis=1)
    scores = random.uniform(size=labels.shape)
    return {
        "boxes": np.where(there[..., None], boxes, 0).astype(np.float32),
        "scores": np.where(there, scores, 0).astype(np.float32),
        "labels": np.where(there, labels, -1).astype(np.int32),
    }


def by_files(folder, predictions, examples):
    """The twelve numbers of the evaluator's own summary, of JSON files."""
    images = [{"id": n} for n in range(len(examples["valid"]))]
    annotations, found = [], []

    def record(row, box, label):
        left, top, right, bottom = map(float, box)
        return {"image_id": row, "category_id": int(label), "bbox": [left, top, right - left, bottom - top]}

    for row, k in zip(*np.nonzero(examples["valid"]), strict=True):
        one = record(int(row), examples["boxes"][row, k], examples["labels"][row, k])
        area = one["bbox"][2] * one["bbox"][3]
        annotations.append({**one, "id": len(annotations) + 1, "area": area, "iscrowd": int(examples["crowd"][row, k])})
    for row, k in zip(*np.nonzero(predictions["labels"] >= 0), strict=True):
        one = record(int(row), predictions["boxes"][row, k], predictions["labels"][row, k])
        found.append({**one, "score": float(predictions["scores"][row, k])})
    categories = [{"id": n, "name": name} for n, name in enumerate(CLASSES)]
    whole = {"images": images, "annotations": annotations, "categories": categories, "info": {}}
    (folder / "truth.json").write_text(json.dumps(whole))
    (folder / "found.json").write_text(json.dumps(found))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "truth.json"))
        evaluation = COCOeval(coco, coco.loadRes(str(folder / "found.json")), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def host_metrics(batch_size=3):
    return make_host_metrics(lambda variables, images: Detections(*variables), CLASSES, batch_size)


def scores(predictions, examples, batch_size=3):
    def chunk(first):
        padded = {name: one[first : first + batch_size] for name, one in predictions.items()}
        return [{name: np.resize(one, (batch_size, *one.shape[1:])) for name, one in padded.items()}]

    return host_metrics(batch_size).scores(chunk, {"image": np.zeros(len(examples["valid"])), **examples})[0]


@pytest.mark.parametrize("seed", range(3))
def test_they_are_those_of_the_evaluators_own_files(tmp_path, seed):
    random = np.random.default_rng(seed)
    examples = truth(random)
    predictions = guesses(random, examples)
    found = scores(predictions, examples)
    assert 0.05 < found["ap"] < 0.95
    np.testing.assert_allclose(
        [found[name] for name in METRICS], by_files(tmp_path, predictions, examples)[:6], rtol=0, atol=1e-12
    )
    assert found["ap"] == pytest.approx(np.mean([found["ap of a"], found["ap of b"]]))
    assert np.isnan(found["ap of c"])


def test_nothing_is_printed_and_nothing_found_is_worth_nothing(capsys):
    random = np.random.default_rng(0)
    examples = truth(random)
    nothing = {name: one * 0 - (name == "labels") for name, one in guesses(random, examples).items()}
    assert scores(nothing, examples)["ap"] == 0
    assert capsys.readouterr().out == ""


def test_what_is_right_is_worth_one():
    examples = truth(np.random.default_rng(1))
    right = {
        **examples,
        "scores": examples["valid"].astype(np.float32),
        "labels": np.where(examples["valid"], examples["labels"], -1),
    }
    found = scores({name: right[name] for name in ("boxes", "scores", "labels")}, examples)
    assert found["ap"] == found["ap50"] == 1


def test_the_metrics_that_a_config_may_name_are_there():
    assert tuple(METRICS) == CHOICES
