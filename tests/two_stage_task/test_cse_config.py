"""CSE-Autoloss on a detector of two stages: the config of COCO, and a search of each branch of the second stage in miniature."""

from pathlib import Path

import pytest

import jaxloss
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from tests.errors import user_error
from tests.short_comparison import SHORT_COMPARISON
from tests.two_stage_task.test_configs import OF_COCO, SMALL_RESNET, TASK, write_coco

CONFIG = Path(__file__).parents[2] / "configs" / "cse_autoloss_coco_faster_rcnn.py"
SPACE = "space.cse_autoloss"
SMALL = {
    **{key: value for key, value in OF_COCO.items() if "limit" not in key},
    f"{TASK}.model_options": str({**SMALL_RESNET, "frozen_statistics": False}),
    "filters.rejection.num_samples": "4",
}
OF_CLASSES = {
    f"{SPACE}.branches": "('rcnn_classification',)",
    f"{SPACE}.fixed_loss": "giou",
    "search.seeds": "('cei',)",
    "filters.rejection.variable": "logits",
    "comparison.handcrafted": "('cross_entropy',)",
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_coco(tmp_path_factory.mktemp("coco"))


def config_of(data_dir, overrides=None):
    return load_config(str(CONFIG), {"data_dir": str(data_dir), **SMALL, **(overrides or {})})


def test_its_numbers_are_those_of_the_paper():
    config = load_config(str(CONFIG), {})
    task, training = config.task.two_stage_detection, config.training
    assert round(task.fractions[1] * 118_287) == 10_000
    steps = (118_287 - 10_000) / training.batch_size
    assert (training.batch_size, training.num_epochs, round(training.warmup_epochs * steps)) == (16, 1, 500)
    assert (config.search.generation_size, config.search.generations.kept) == (1000, 10)
    assert (config.search.seeds, config.space.cse_autoloss.fixed_loss) == (("giou",), "cross_entropy")


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [{}, OF_CLASSES], ids=["regression", "classification"])
def test_a_branch_of_the_second_stage_is_searched_with_the_others_fixed(data_dir, overrides):
    plan = make_plan(config_of(data_dir, overrides))
    (branch,) = plan.space.branches
    assert branch.name == ("rcnn_classification" if overrides else "rcnn_regression")
    assert branch.weight == (1.0 if overrides else 10.0)
    assert plan.task.offers.keys() == {branch.name}
    fixed = {name: one.name for name, one in plan.space.fixed_losses.items()}
    other = {"rcnn_regression": "giou"} if overrides else {"rcnn_classification": "cross_entropy"}
    assert fixed == {"rpn_classification": "cross_entropy", "rpn_regression": "delta_l1", **other}
    assert plan.task.auxiliary_losses.keys() == fixed.keys()


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_one_branch_is_searched_and_the_others_are_fixed(kind):
    space = jaxloss.make_space("cse_autoloss", branches=(f"rcnn_{kind}",), fixed_losses={"mask": "cross_entropy"})
    assert [branch.name for branch in space.branches] == [f"rcnn_{kind}"]
    other = {"regression": ("rcnn_classification", "cross_entropy"), "classification": ("rcnn_regression", "giou")}[kind]
    assert {name: one.name for name, one in space.fixed_losses.items()} == {
        "rpn_classification": "cross_entropy", "rpn_regression": "delta_l1", "mask": "cross_entropy", **dict([other]),
    }  # fmt: skip


def test_both_branches_are_searched_together():
    space = jaxloss.make_space("cse_autoloss", branches=("rcnn_classification", "rcnn_regression"))
    assert "cei_giou" in space.known_losses
    assert space.parse(space.known_losses["cei_giou"]).keys() == {"rcnn_classification", "rcnn_regression"}
    assert space.fixed_losses.keys() == {"rpn_classification", "rpn_regression"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"branches": ("regression", "rcnn_classification")},
            "must name branches of one detector, classification and regression",
        ),
        ({"branches": ("rpn_regression",)}, "unknown space.cse_autoloss.branches 'rpn_regression'"),
        ({"fixed_losses": {"regression": "giou"}}, "fixed_losses.regression is of a branch that is searched"),
        (
            {"branches": ("rcnn_regression",), "fixed_losses": {"rpn_regression": 1}},
            "takes the name of a loss, or a formula, not 1",
        ),
        ({"branches": ("rcnn_regression",), "fixed_losses": {"rpn_regression": "gio"}}, "of the branch rpn_regression 'gio'"),
    ],
)
def test_mistakes_are_one_line(options, message):
    with user_error(message):
        jaxloss.make_space("cse_autoloss", **options)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [{}, OF_CLASSES], ids=["regression", "classification"])
def test_it_searches_in_miniature(data_dir, tmp_path, overrides):
    short = {
        **SHORT_COMPARISON,
        "quiet": "true",
        "search.num_trainings": "3",
        "search.generation_size": "20",
        "search.generations.kept": "2",
        "filters.convergence.num_points": "9",
        "filters.rejection.iterations": "40",
        "filters.batch": "20",
        "training.num_epochs": "2.0",
        "training.warmup_epochs": "0.5",
        "comparison.handcrafted": "('giou',)",
        "execution.workers": "1",
    }
    summary = jaxloss.run(config_of(data_dir, {**short, **overrides}), tmp_path / "run").summary
    assert summary["counts"]["trained"] == 3
    rival = "cross_entropy" if overrides else "giou"
    assert rival in {row["name"] for row in summary["comparison"]}
    assert (tmp_path / "run" / "report.html").is_file()
