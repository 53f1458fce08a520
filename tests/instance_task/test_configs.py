"""The config of COCO, and settings of five branches: the checks of a run, and a whole search in miniature."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxloss
from jaxloss.config import default_config
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.tasks.data.stream import is_streamed
from tests.errors import user_error
from tests.instance_task.shapes import AREAS, BRANCHES, CLASSES, FILE, SIZE, TINY, box_of, loss_text, make, shapes, write
from tests.instance_task.test_data import runs
from tests.two_stage_task.test_configs import MINIATURE, OF_COCO, SMALL_RESNET

COCO = Path(__file__).parents[2] / "configs" / "autoloss_zero_coco_instance.py"
TASK = "task.instance_segmentation"
SMALL = {
    **{key.replace("two_stage_detection", "instance_segmentation"): value for key, value in OF_COCO.items()},
    f"{TASK}.model_options": str({**SMALL_RESNET, "mask_channels": 4, "mask_depth": 1, "mask_region_size": 7}),
    f"{TASK}.mask_resolution": "16",
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """The standard layout of COCO with run lengths, and a polygon."""
    folder = tmp_path_factory.mktemp("coco")
    images, masks, rows, labels, crowd = shapes(14)
    (folder / "annotations").mkdir()
    for split in ("train2017", "val2017"):
        (folder / split).mkdir()
        for row, image in enumerate(images):
            Image.fromarray(image).save(folder / split / f"{row:012d}.png")
        annotations = [
            {"id": k, "image_id": int(row), "category_id": int(label) + 1, "iscrowd": int(is_crowd), "bbox": box_of(mask),
             "segmentation": runs(mask)}
            for k, (mask, row, label, is_crowd) in enumerate(zip(masks, rows, labels, crowd, strict=True))
        ]  # fmt: skip
        annotations[0] |= {"bbox": [4, 5, 16, 20], "segmentation": [[4, 5, 20, 5, 4, 25]]}
        content = {
            "images": [
                {"id": row, "file_name": f"{row:012d}.png", "height": SIZE[0], "width": SIZE[1]} for row in range(len(images))
            ],
            "annotations": annotations,
            "categories": [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)],
        }
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return folder


def config_of(data_dir, overrides=None):
    return load_config(str(COCO), {"data_dir": str(data_dir), **SMALL, f"{TASK}.model_options.frozen_statistics": "false",
                                   **(overrides or {})})  # fmt: skip


def test_the_numbers_are_those_of_the_paper():
    config = load_config(str(COCO), {})
    space = config.space.autoloss_zero
    assert dict(zip(space.branches, space.branch_weights, strict=True)) == dict(zip(BRANCHES, (1, 10, 1, 10, 1), strict=True))
    assert (config.training.num_epochs, config.training.learning_rate, config.training.batch_size) == (1, 0.04, 32)
    assert config.task.instance_segmentation.train_limit == 28_321
    assert config.search.num_trainings == 500


def own_config(folder, **space):
    config = default_config()
    config.task.name = "instance_segmentation"
    config.data_dir = str(folder)
    task = config.task.instance_segmentation
    task.source, task.anchor_scales, task.mask_resolution = f"npz:{FILE}", (2.5,), 16
    task.fractions, task.model_options = (0.5, 0.25, 0.25), TINY
    config.training.batch_size = 4
    config.filters.rejection.num_samples = 2
    config.filters.rejection.minimum_gain = 0.2
    for name, value in space.items():
        config.space.autoloss_zero[name] = value
    return config


def test_the_mask_branch_is_searched_with_the_others_fixed(folder):
    fixed = {name: "delta_l1" if "regression" in name else "cross_entropy" for name in BRANCHES[:4]}
    fixed["rcnn_regression"] = "Neg(Log(Mul(intersection, Inv(enclosing))))"
    config = own_config(
        folder,
        branches=("mask",),
        fixed_losses=fixed,
        fixed_weights={"rcnn_regression": 10.0},
        branch_inputs={"rcnn_regression": AREAS},
    )
    config.comparison.handcrafted = ("cross_entropy", "region_dice", "dice")
    plan = make_plan(config)
    assert plan.task.offers.keys() == {"mask"}
    assert plan.task.auxiliary_losses.keys() == {*fixed}
    assert plan.task.details["loss of the branch rcnn_regression"] == fixed["rcnn_regression"]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"fixed_losses": {"mask": "dice"}}, "fixed_losses.mask is of a branch that is searched"),
        ({"fixed_losses": {"rpn_regression": "gio"}}, "rpn_regression"),
        ({"fixed_losses": {"rpn_regression": 3}}, "takes the name of a loss, or a formula, not 3"),
        ({"fixed_weights": {"rpn_regression": 3.0}}, "fixed_weights.rpn_regression does nothing"),
        (
            {"fixed_losses": {"rpn_regression": "giou"}, "fixed_weights": {"rpn_regression": 0.0}},
            "fixed_weights.rpn_regression must be a finite number above 0",
        ),
        ({"fixed_losses": {"keypoints": "mse"}}, "'keypoints'"),
    ],
)
def test_mistakes_of_fixed_losses_are_one_line(folder, space, message):
    with user_error(message):
        make_plan(own_config(folder, branches=("mask",), **space))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "tiny_faster_rcnn"}, "unknown task.instance_segmentation.model 'tiny_faster_rcnn'"),
        ({"metric": "map"}, "unknown task.instance_segmentation.metric 'map'"),
        ({"mask_resolution": 1}, "task.instance_segmentation.mask_resolution must be at least 2"),
        ({"source": "voc:VOC2012"}, "unknown box source 'voc:VOC2012'"),
        ({"rpn_negative_iou": 0.8}, "task.instance_segmentation.rpn_negative_iou (0.8) must not be above"),
        ({"model_options": {"mask_width": 8}}, "has no option 'mask_width'"),
    ],
)
def test_mistakes_of_the_task_are_one_line(folder, options, message):
    with user_error(message):
        make(folder, **options)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_branches_are_searched_at_once(data_dir, tmp_path):
    """Search, ranking, tuning, test and report, over images that are streamed, beside the losses that the paper published."""
    rival = loss_text("cross_entropy", "giou", "region_dice")
    overrides = {**MINIATURE, "comparison.handcrafted": f"('{rival}', 'autoloss_zero_instance')"}
    config = config_of(data_dir, overrides)
    assert is_streamed(make_plan(config).task.data)
    summary = jaxloss.run(config, tmp_path / "run").summary
    assert summary["counts"]["trained"] == 3
    assert {rival, "autoloss_zero_instance"} < {row["name"] for row in summary["comparison"]}
    for row in summary["comparison"]:
        scores = row["tuned"]["test_scores"]
        assert np.isfinite(scores["ap50"]).all()
        assert np.isfinite(scores["box_ap"]).all()
    assert "mask" in (tmp_path / "run" / "report.html").read_text()


def test_the_shared_set_of_real_images_is_read(data_dir):
    """Things of many classes, crowds, and segments of a few pixels."""
    folder = os.environ.get("JAXLOSS_DATA_DIR", "")
    if not (Path(folder) / "coco_permissive_256.npz").is_file():
        pytest.skip("no coco_permissive_256.npz in JAXLOSS_DATA_DIR")
    task = make(folder, source="npz:coco_permissive_256.npz", mask_resolution=28)
    assert task.details["num_classes"] > 30
    masks, valid = task.data["train"]["masks"], task.data["train"]["valid"]
    assert np.asarray(masks).any(axis=(2, 3))[np.asarray(valid)].all()


def test_a_search_of_masks_is_one_line_where_the_archive_is_none(tmp_path):
    write(tmp_path, 12, segment_map=None)
    with user_error("shapes.npz has no 'segment_map'"):
        make_plan(own_config(tmp_path, branches=("mask",)))
