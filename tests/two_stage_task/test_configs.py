"""The configs of two stages: the checks of a run, and whole searches in miniature, of all four branches from scratch."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxloss
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from tests.detection_task.cells import CLASSES, FILE, SIZE, cells, write
from tests.errors import user_error
from tests.short_comparison import SHORT_COMPARISON
from tests.two_stage_task.scenes import AREAS, BRANCHES, SETTINGS, loss_text

CONFIGS = Path(__file__).parents[2] / "configs"
BCCD, COCO = CONFIGS / "autoloss_zero_bccd_faster_rcnn.py", CONFIGS / "autoloss_zero_coco_detection.py"
TASK = "task.two_stage_detection"
OF_CELLS = {
    f"{TASK}.source_options": "{'split_key': 'none'}",
    f"{TASK}.fractions": "(0.5, 0.25, 0.25)",
    **{f"{TASK}.{name}": str(value) for name, value in SETTINGS.items()},
    f"{TASK}.source": f"npz:{FILE}",
    "training.batch_size": "4",
}
SMALL_RESNET = {
    "depths": (1, 1, 1, 1),
    "width": 4,
    "channels": 8,
    "num_levels": 3,
    "proposal_channels": 8,
    "head_width": 16,
    "region_size": 3,
}
OF_COCO = {
    f"{TASK}.image_size": "(65, 65)",
    f"{TASK}.train_limit": "8",
    f"{TASK}.search_eval_limit": "4",
    f"{TASK}.fractions": "(0.6, 0.4, 0.0)",
    f"{TASK}.model_options": str(SMALL_RESNET),
    f"{TASK}.anchor_scales": "(1.2,)",
    f"{TASK}.rpn_samples": "16",
    f"{TASK}.proposal_candidates": "12",
    f"{TASK}.num_proposals": "10",
    f"{TASK}.rcnn_samples": "10",
    f"{TASK}.candidates": "30",
    "training.batch_size": "4",
}
MINIATURE = {
    **SHORT_COMPARISON,
    "quiet": "true",
    "search.num_trainings": "3",
    "search.evolution.initial_population": "2",
    "search.evolution.tournament_ratio": "0.5",
    "search.control": "false",
    "filters.rejection.num_samples": "2",
    "filters.rejection.iterations": "200",
    "filters.rejection.learning_rate": "0.003",
    "filters.rejection.minimum_gain": "0.1",
    "filters.batch": "32",
    "comparison.num_divisions": "1",
    "comparison.test_seeds": "2",
    "comparison.handcrafted": f"('{loss_text('cross_entropy', 'giou')}',)",
    "execution.workers": "1",
}


def write_coco(folder, count=16):
    """The standard layout of COCO with the images of `cells`."""
    images, boxes, rows, labels, crowd = cells(count)
    for split in ("train2017", "val2017"):
        (folder / split).mkdir()
        for row in range(count):
            Image.fromarray(images[row]).save(folder / split / f"{row:012d}.jpg")
        annotations = [
            {"id": k + 1, "image_id": int(row), "category_id": int(label) + 1, "iscrowd": int(is_crowd),
             "bbox": [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]}
            for k, (box, row, label, is_crowd) in enumerate(zip(boxes, rows, labels, crowd, strict=True))
        ]  # fmt: skip
        records = [{"id": row, "file_name": f"{row:012d}.jpg", "height": SIZE[0], "width": SIZE[1]} for row in range(count)]
        content = {
            "images": records,
            "annotations": annotations,
            "categories": [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)],
        }
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {BCCD: write(tmp_path_factory.mktemp("cells")), COCO: write_coco(tmp_path_factory.mktemp("coco"))}


def config_of(folders, path, overrides=None):
    small = {BCCD: OF_CELLS, COCO: OF_COCO}[path]
    return load_config(str(path), {"data_dir": str(folders[path]), **small, **(overrides or {})})


@pytest.mark.parametrize("path", [BCCD, pytest.param(COCO, marks=pytest.mark.slow)], ids=lambda path: path.stem)
def test_it_passes_the_checks_of_a_run(folders, path):
    plan = make_plan(config_of(folders, path, {"filters.rejection.num_samples": "2"}))
    inputs = {branch.name: branch.form.inputs for branch in plan.space.branches}
    assert inputs == {name: AREAS if "regression" in name else ("prediction", "target") for name in BRANCHES}
    assert [branch.weight for branch in plan.space.branches] == [1.0, 10.0, 1.0, 10.0]
    assert plan.task.details["num_classes"] == 2


def test_the_numbers_are_those_of_the_paper():
    config = load_config(str(COCO), {})
    assert config.training.num_epochs == 1
    assert config[TASK.split(".")[0]].two_stage_detection.train_limit == 28_321
    assert round(config.training.warmup_epochs * 28_321 / 32) == 250


def test_the_published_losses_are_read_as_those_of_all_branches(folders):
    plan = make_plan(config_of(folders, BCCD, {"mode": "train", "loss": "autoloss_zero_detection"}))
    (contender,) = plan.contenders
    assert [part.partition(":")[0].strip() for part in contender.formula.split("|")] == list(BRANCHES)


def test_weights_of_a_backbone_are_refused_where_there_is_none(folders):
    with user_error(f"config key {TASK}.pretrained does nothing in this run"):
        make_plan(config_of(folders, BCCD, {f"{TASK}.pretrained": "weights.safetensors"}))
    with user_error("there is no file 'weights.safetensors' with pretrained weights"):
        make_plan(config_of(folders, COCO, {f"{TASK}.pretrained": "weights.safetensors"}))


@pytest.mark.slow
@pytest.mark.parametrize("path", [BCCD, COCO], ids=lambda path: path.stem)
def test_four_branches_are_searched_at_once(folders, path, tmp_path):
    """Search, ranking, tuning, test and report."""
    overrides = {**MINIATURE, **({"search.preset": "paper", "training.num_epochs": "3.0"} if path == BCCD else {})}
    summary = jaxloss.run(config_of(folders, path, overrides), tmp_path / "run").summary
    assert summary["counts"]["trained"] == 3
    names = {row["name"] for row in summary["comparison"]}
    assert loss_text("cross_entropy", "giou") in names
    assert all(np.isfinite(row["tuned"]["test_scores"]["ap50"]).all() for row in summary["comparison"])
    assert "rcnn_regression" in (tmp_path / "run" / "report.html").read_text()
