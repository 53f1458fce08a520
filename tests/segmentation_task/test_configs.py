"""The configs of segmentation: the numbers of the paper, the checks of a run, and a whole search in miniature."""

import ast
import shlex
from pathlib import Path

import numpy as np
import pytest

import jaxloss
from jaxloss import export
from jaxloss.config.file import apply_overrides, load_config
from jaxloss.config.plan import make_plan
from tests.mask_data.layouts import save, write_list, write_voc
from tests.segmentation_task.scenes import CLASSES, scenes
from tests.short_comparison import SHORT_COMPARISON

CONFIGS = Path(__file__).parents[2] / "configs"
CAMVID, VOC, MASKS = (CONFIGS / f"autoloss_zero_{name}.py" for name in ("camvid", "voc", "masks"))
TINY_NETWORK = {"task.segmentation.model_options": "{'features': (6,)}", "training.batch_size": "4"}
TINY_RESNET = {
    "task.segmentation.model_options": "{'depths': (1, 1, 1, 1), 'width': 2, 'features': 4, 'fine_features': 2}",
    "task.segmentation.image_size": "(24, 32)",
    "task.segmentation.fractions": "(0.5, 0.5, 0.0)",
    "training.batch_size": "2",
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A tiny set for each of the configs."""
    folder = tmp_path_factory.mktemp("data")
    images, masks = scenes(16)
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        save(folder / "masks" / "images" / f"{number:02}.png", image)
        save(folder / "masks" / "masks" / f"{number:02}.png", mask)
    write_list(folder / "masks" / "classes.txt", CLASSES)
    arrays = {"train_images": images[:12], "train_labels": masks[:12], "val_images": images[12:], "val_labels": masks[12:]}
    np.savez(folder / "camvid_240x180_trainval.npz", **arrays, class_names=np.array(CLASSES))
    voc = write_voc(folder / "VOCdevkit" / "VOC2012", [f"2007_00000{number}" for number in range(1, 7)], ["2007_000007"])
    (voc / "SegmentationClassAug").mkdir()
    save(voc / "JPEGImages" / "2008_000008.jpg", np.full((12, 16, 3), 90, np.uint8))
    save(voc / "SegmentationClassAug" / "2008_000008.png", np.full((12, 16), 3, np.uint8))
    return folder


def config_of(path, data_dir, overrides):
    return load_config(str(path), {"data_dir": str(data_dir), **overrides})


@pytest.mark.parametrize(
    ("path", "overrides"),
    [
        (CAMVID, TINY_NETWORK),
        (MASKS, {**TINY_NETWORK, "task.segmentation.metric": "boundary_f1"}),
        pytest.param(VOC, {**TINY_RESNET, "filters.rejection.num_samples": "2"}, marks=pytest.mark.slow),
    ],
    ids=["camvid", "masks", "voc"],
)
def test_each_config_passes_the_checks_of_a_run(data_dir, path, overrides):
    plan = make_plan(config_of(path, data_dir, overrides))
    assert plan.task.offers.keys() == {"segmentation"}
    assert (plan.space.known_losses["dice"] in plan.seeds) == plan.config.search.prior_knowledge
    assert plan.task.metric == overrides.get("task.segmentation.metric", "mean_iou")


def test_voc_is_searched_by_the_letter():
    config = load_config(str(VOC))
    training, task, rejection, evolution = (
        config.training,
        config.task.segmentation,
        config.filters.rejection,
        config.search.evolution,
    )
    assert (task.model, task.image_size, task.source_options.sbd) == (
        "deeplabv3plus_resnet50",
        (128, 128),
        "SegmentationClassAug",
    )
    assert round(task.fractions[1] * 10582) == 1500
    assert (training.optimiser, training.momentum, training.weight_decay) == ("sgd", 0.9, 5e-4)
    assert (training.num_epochs, training.batch_size, training.learning_rate, training.head_factor) == (3.0, 32, 0.02, 10.0)
    assert (training.schedule, training.polynomial_power) == ("polynomial", 0.9)
    assert training.learning_rate * training.end_factor == pytest.approx(1e-4)
    assert (config.search.num_trainings, config.search.preset, config.search.generation_size) == (500, "paper", 1)
    assert (evolution.initial_population, evolution.population_size, evolution.tournament_ratio) == (20, 2500, 0.05)
    assert (rejection.num_samples, rejection.minimum_gain, rejection.iterations) == (5, 0.6, 500)
    assert (rejection.learning_rate, rejection.momentum, rejection.variable) == (0.001, 0.9, "probability")
    assert (task.trimap_width, task.tolerance, task.void, task.training_target) == (5, 5, "counted", "")


def test_the_final_training_of_voc_is_the_command_of_the_config(data_dir):
    document = ast.get_docstring(ast.parse(VOC.read_text())).replace("\\\n", " ")
    (command,) = (shlex.split(line) for line in document.splitlines() if "mode=train" in line)
    given = dict(part.removeprefix("--config.").split("=", 1) for part in command if part.startswith("--config."))
    config = load_config(str(VOC))
    kept = {key: value for key, value in given.items() if key.startswith(("task.", "training.", "mode"))}
    apply_overrides(config, kept)
    task, training = config.task.segmentation, config.training
    assert (task.image_size, tuple(task.augmentation_options.crop_size)) == ((512, 512), (512, 512))
    assert (task.model, training.num_epochs) == ("deeplabv3plus_resnet101", 30)


def test_camvid_has_a_proxy_for_a_cpu():
    config = load_config(str(CAMVID))
    assert config.search.preset == "strong"
    assert (config.task.segmentation.void, config.task.segmentation.block) == ("ignored", 20)
    assert {"cross_entropy", "dice", "lovasz_softmax"} <= set(config.comparison.handcrafted)


@pytest.mark.slow
def test_a_whole_search_in_miniature(data_dir, tmp_path, capsys):
    """Search, ranking, tuning, test, report and export, for a boundary metric on a folder of one's own."""
    overrides = {
        **TINY_NETWORK,
        **SHORT_COMPARISON,
        "quiet": "true",
        "task.segmentation.image_size": "(12, 16)",
        "task.segmentation.metric": "boundary_iou",
        "task.segmentation.trimap_width": "1",
        "task.segmentation.tolerance": "1",
        "task.segmentation.rejection_window": "(8, 8)",
        "training.num_epochs": "3.0",
        "search.preset": "paper",
        "search.num_trainings": "4",
        "search.evolution.initial_population": "2",
        "search.evolution.tournament_ratio": "0.5",
        "search.seeds": "('Neg(Mul(target, Log(prediction)))',)",
        "search.control": "false",
        "filters.rejection.iterations": "60",
        "filters.rejection.learning_rate": "0.01",
        "filters.rejection.minimum_gain": "0.2",
        "filters.rejection.num_samples": "2",
        "filters.batch": "8",
        "comparison.handcrafted": "('dice',)",
        "comparison.num_divisions": "1",
        "comparison.test_seeds": "2",
        "execution.workers": "1",
    }
    results = jaxloss.run(config_of(MASKS, data_dir, overrides), tmp_path / "run")
    summary = results.summary
    assert summary["metric"] == "boundary_iou"
    assert summary["counts"]["trained"] == 4
    assert len(summary["comparison"]) == 2
    scores = summary["comparison"][0]["tuned"]["test_scores"]
    assert {"boundary_iou", "mean_iou", "boundary_f1"} <= scores.keys()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "boundary IoU (trimap, 1 pixels)" in page
    assert [title for title, _ in summary["parts"]] == ["mean_iou", "boundary_iou"]
    assert len(scores["mean_iou of disc"]) == 2
    for words in ("Every metric", "Part by part", "What the networks make of it", "void, which counts nowhere"):
        assert words in page
    assert "ground" in page
    capsys.readouterr()
    assert export.main([str(tmp_path / "run")]) == 0
    assert "def loss(" in capsys.readouterr().out
