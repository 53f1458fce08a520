"""Scores against references: similarity and correct keypoints in NumPy, average precision as COCO's files have it."""

import contextlib
import io
import json

import jax.numpy as jnp
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval, Params

from jaxloss.tasks.pose.measures import ANNOTATED, COCO_SIGMAS, EXTENT, METRICS, THRESHOLDS, PoseMeasures, worth
from jaxloss.tasks.pose.scoring import make_host_metrics

COUNT, NUM_KEYPOINTS = 9, 5
NAMES = tuple("abcde")
SIGMAS = (0.03, 0.05, 0.05, 0.1, 0.08)


def examples(seed=0):
    """Subjects of five images; the second has no visible keypoint, the third a single one."""
    random = np.random.default_rng(seed)
    visible = random.uniform(size=(COUNT, NUM_KEYPOINTS)) < 0.8
    visible[:3] = True
    visible[1] = False
    visible[2, 1:] = False
    visible[:, -1] = False  # never
    return {
        "image": np.arange(COUNT)[:, None],
        "keypoints": random.uniform(0, 60, (COUNT, NUM_KEYPOINTS, 2)).astype(np.float32),
        "visible": visible,
        "area": random.uniform(400, 3000, COUNT).astype(np.float32),
        "scale": random.uniform(0.5, 3, (COUNT, 2)).astype(np.float32),
        "origin": random.uniform(-20, 20, (COUNT, 2)).astype(np.float32),
        "owner": np.array([7, 7, 7, 2, 2, 30, 30, 31, 40], np.int32),
    }


def guesses(batch, seed=1):
    random = np.random.default_rng(seed)
    errors = random.normal(size=batch["keypoints"].shape) * random.choice([0.3, 2, 6], (COUNT, 1, 1))
    return (batch["keypoints"] + errors).astype(np.float32), random.uniform(size=(COUNT, NUM_KEYPOINTS)).astype(np.float32)


def by_hand(batch, found, measures):
    """Area, similarities, OKS and what is correct, subject by subject."""
    rows = []
    for n in range(COUNT):
        true, seen = (one[n] * batch["scale"][n] + batch["origin"][n] for one in (batch["keypoints"], found))
        shown = batch["visible"][n]
        if not shown.any():
            continue
        sides = np.maximum(true[shown].max(axis=0) - true[shown].min(axis=0), 1)
        area = batch["area"][n] if measures.area == ANNOTATED else sides.prod()
        distances = np.hypot(*(true - seen).T)
        similarities = [np.exp(-(d**2) / (2 * area * (2 * s) ** 2)) for d, s in zip(distances, SIGMAS, strict=True)]
        reach = measures.share * (measures.length or sides.max())
        rows.append((n, area, np.mean(np.array(similarities)[shown]), (distances <= reach)[shown], true, seen))
    return rows


def by_files(folder, batch, rows, scores):
    """AP, AP50 and AP75 of the evaluator, of JSON files."""
    truth, found = [], []
    for n, area, _, _, true, seen in rows:
        shown = batch["visible"][n]
        common = {"image_id": int(batch["owner"][n]), "category_id": 1}
        flat = np.concatenate([true, 2 * shown[:, None]], axis=1).ravel().tolist()
        truth.append({**common, "id": n + 1, "iscrowd": 0, "area": float(area), "bbox": [0, 0, 9, 9], "keypoints": flat})
        truth[-1]["num_keypoints"] = int(shown.sum())
        flat = np.concatenate([seen, np.ones((NUM_KEYPOINTS, 1))], axis=1).ravel().tolist()
        found.append({**common, "score": float(scores[n]), "keypoints": flat})
    images = [{"id": int(one)} for one in np.unique(batch["owner"])]
    (folder / "truth.json").write_text(
        json.dumps({"images": images, "annotations": truth, "categories": [{"id": 1, "name": "x"}], "info": {}})
    )
    (folder / "found.json").write_text(json.dumps(found))
    with contextlib.redirect_stdout(io.StringIO()):
        whole = COCO(str(folder / "truth.json"))
        evaluation = COCOeval(whole, whole.loadRes(str(folder / "found.json")), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(SIGMAS)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:3]


def scores_of(batch, found, peaks, measures):
    metrics = make_host_metrics(lambda variables, images: (found, peaks), measures, NAMES, COUNT)
    state = metrics.accumulate(metrics.start(), {k: np.asarray(v) for k, v in metrics.predict(None, batch).items()}, batch)
    return metrics.compute(state)


@pytest.mark.parametrize(("area", "length"), [(EXTENT, 0.0), (ANNOTATED, 0.0), (ANNOTATED, 12.0)])
def test_scores_are_those_of_the_references(tmp_path, area, length):
    measures, batch = PoseMeasures(SIGMAS, area, 0.1, length), examples()
    found, peaks = guesses(batch)
    rows, scores = by_hand(batch, found, measures), scores_of(batch, found, peaks, measures)
    assert {*METRICS, *(f"pck of {name}" for name in NAMES)} == {*scores}
    np.testing.assert_allclose(scores["oks"], np.mean([row[2] for row in rows]), rtol=1e-5)
    np.testing.assert_allclose(scores["pck"], np.mean(np.concatenate([row[3] for row in rows])))
    assert 0.05 < scores["pck"] < 0.95
    assert np.isnan(scores["pck of e"])
    expected = by_files(tmp_path, batch, rows, peaks.mean(axis=1))
    np.testing.assert_allclose([scores[name] for name in ("ap", "ap50", "ap75")], expected, atol=1e-6)
    assert 0 < scores["ap"] < 1


def test_true_keypoints_are_worth_one_and_what_is_no_number_nothing():
    batch, measures = examples(), PoseMeasures(SIGMAS, EXTENT, 0.1, 0.0)
    scores = scores_of(batch, batch["keypoints"], np.ones((COUNT, NUM_KEYPOINTS), np.float32), measures)
    assert all(scores[name] == 1 for name in METRICS)
    nothing = np.full_like(batch["keypoints"], 1e6)
    scores = scores_of(batch, nothing, np.full((COUNT, NUM_KEYPOINTS), -np.inf, np.float32), measures)
    assert all(scores[name] == 0 for name in METRICS)


def test_the_constants_are_those_of_the_evaluator():
    parameters = Params("keypoints")
    np.testing.assert_allclose(COCO_SIGMAS, parameters.kpt_oks_sigmas)
    np.testing.assert_allclose(THRESHOLDS, parameters.iouThrs)


def test_a_single_keypoint_is_worth_what_the_evaluator_gives_a_subject_of_one():
    similarity, correct = jnp.array([0.0, 0.52, 0.7, 0.76, 1.0]), jnp.array([0, 1, 0, 1, 1], bool)
    np.testing.assert_allclose(worth("ap", similarity, correct), [0, 0.1, 0.5, 0.6, 1], atol=1e-6)
    np.testing.assert_allclose(worth("ap50", similarity, correct), [0, 1, 1, 1, 1])
    np.testing.assert_allclose(worth("ap75", similarity, correct), [0, 0, 0, 1, 1])
    np.testing.assert_allclose(worth("oks", similarity, correct), similarity)
    np.testing.assert_allclose(worth("pck", similarity, correct), correct)
