"""The configs of keypoints: the checks of a run, and a whole search in miniature."""

from pathlib import Path

import pytest

import jaxloss
from jaxloss import export
from jaxloss.config.check import check_config
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from tests.errors import user_error
from tests.pose_task import persons, puppets
from tests.short_comparison import SHORT_COMPARISON

CONFIGS = Path(__file__).parents[2] / "configs"
MINIATURE = {
    "task.pose.source": f"npz:{puppets.FILE}",
    "task.pose.fractions": "(0.5, 0.25, 0.25)",
    "task.pose.image_size": "(0, 0)",
    "task.pose.model_options": str(puppets.TINY),
    "task.pose.pck_share": "0.2",
    "training.batch_size": "4",
    "filters.rejection.num_samples": "5",
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return puppets.write(tmp_path_factory.mktemp("data"))


def mouse(data_dir, overrides=None):
    path = str(CONFIGS / "autoloss_zero_mouse_pose.py")
    return load_config(path, {"data_dir": str(data_dir), **MINIATURE, **(overrides or {})})


def test_the_mouse_passes_the_checks_of_a_run(data_dir):
    plan = make_plan(mouse(data_dir))
    assert plan.task.offers == {"heatmap": ("prediction", "target", "offset")}
    assert plan.task.metric == "pck"


def test_losses_of_a_softmax_have_nothing_to_read(data_dir):
    with user_error("needs the input 'logits'"):
        make_plan(mouse(data_dir, {"comparison.handcrafted": "('cross_entropy',)"}))


def test_coco_passes_the_checks_of_a_run(tmp_path):
    config = load_config(str(CONFIGS / "autoloss_zero_coco_pose.py"), {"data_dir": str(tmp_path)})
    check_config(config)
    assert config.task.pose.flip_pairs["left_eye"] == "right_eye"
    whole = persons.content()
    names = ["nose", *(f"{side}_{part}" for part in persons.PARTS for side in ("left", "right"))]
    whole["categories"][0]["keypoints"] = names
    for one in whole["annotations"]:
        one["keypoints"] = [*one["keypoints"], *[0] * (3 * len(names) - 9)]
    persons.write(tmp_path, whole)
    options = {"images": str(tmp_path), "test": "persons.json", "test_images": str(tmp_path)}
    small = {
        "task.pose.source": "coco:persons.json",
        "task.pose.source_options": str(options),
        "task.pose.fractions": "(0.5, 0.5, 0.0)",
        "task.pose.image_size": "(64, 48)",
        "task.pose.model_options": "{'depths': (1, 1, 1, 1), 'width': 8, 'channels': (8, 8, 8)}",
        "training.batch_size": "1",
        "filters.rejection.num_samples": "1",
    }
    plan = make_plan(load_config(str(CONFIGS / "autoloss_zero_coco_pose.py"), {"data_dir": str(tmp_path), **small}))
    assert plan.task.details["map_shape"] == [16, 12]
    assert plan.task.details["oks_sigmas"][0] == pytest.approx(0.026)
    assert plan.task.backbone is not None


@pytest.mark.slow
def test_a_loss_of_keypoints_is_searched(data_dir, tmp_path, capsys):
    """Search, ranking, tuning, test, report and export."""
    overrides = {
        **SHORT_COMPARISON,
        "quiet": "true",
        "search.preset": "paper",
        "search.num_trainings": "4",
        "search.evolution.initial_population": "2",
        "search.evolution.tournament_ratio": "0.5",
        "search.control": "false",
        "filters.rejection.iterations": "200",
        "filters.rejection.learning_rate": "0.003",
        "filters.rejection.minimum_gain": "0.3",
        "filters.batch": "32",
        "training.num_epochs": "3.0",
        "comparison.handcrafted": "('mse', 'autoloss_zero_pose')",
        "comparison.num_divisions": "1",
        "comparison.test_seeds": "2",
        "execution.workers": "1",
    }
    summary = jaxloss.run(mouse(data_dir, overrides), tmp_path / "run").summary
    assert summary["metric"] == "pck"
    assert summary["counts"]["trained"] == 4
    (row,) = [row for row in summary["comparison"] if row["name"] == "mse"]
    assert {"ap", "ap50", "ap75", "oks", "pck", "pck of head"} <= row["tuned"]["test_scores"].keys()
    assert "from a wrong place to the right one" in (tmp_path / "run" / "report.html").read_text()
    capsys.readouterr()
    assert export.main([str(tmp_path / "run")]) == 0
    assert "def " in capsys.readouterr().out
