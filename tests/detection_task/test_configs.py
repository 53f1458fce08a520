"""The config of blood cells: the checks of a run, and a whole search in miniature, of both branches from scratch."""

from pathlib import Path

import pytest

import jaxloss
from jaxloss import export
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from tests.detection_task.cells import FILE, TINY, write
from tests.errors import user_error
from tests.short_comparison import SHORT_COMPARISON

BCCD = Path(__file__).parents[2] / "configs" / "autoloss_zero_bccd.py"
MINIATURE = {
    "task.detection.source": f"npz:{FILE}",
    "task.detection.source_options": "{'split_key': 'none'}",
    "task.detection.fractions": "(0.5, 0.25, 0.25)",
    "task.detection.model_options": str(TINY),
    "task.detection.size_limits": "(9.0,)",
    "task.detection.rejection_locations": "12",
    "training.batch_size": "4",
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data"))


def config_of(data_dir, overrides=None):
    return load_config(str(BCCD), {"data_dir": str(data_dir), **MINIATURE, **(overrides or {})})


def test_it_passes_the_checks_of_a_run(data_dir):
    plan = make_plan(config_of(data_dir))
    assert plan.task.offers.keys() == {"classification", "regression"}
    assert plan.task.metric == "ap50"
    inputs = {branch.name: branch.form.inputs for branch in plan.space.branches}
    assert inputs == {"classification": ("prediction", "target"), "regression": ("intersection", "union", "enclosing")}
    assert {branch.name: branch.weight for branch in plan.space.branches} == {"classification": 1.0, "regression": 10.0}


def test_a_loss_of_a_softmax_is_refused_where_classes_are_a_question_each(data_dir):
    with user_error("is one of a softmax, and the classes of the branch classification of the task", "are a question each"):
        make_plan(config_of(data_dir, {"task.detection.probabilities": "sigmoid"}))


@pytest.mark.slow
def test_both_branches_are_searched_at_once(data_dir, tmp_path, capsys):
    """Search, ranking, tuning, test, report and export."""
    rival = "classification: cross_entropy | regression: giou"
    overrides = {
        **SHORT_COMPARISON,
        "quiet": "true",
        "search.preset": "paper",
        "search.num_trainings": "4",
        "search.evolution.initial_population": "2",
        "search.evolution.tournament_ratio": "0.5",
        "search.control": "false",
        "filters.rejection.num_samples": "2",
        "filters.rejection.iterations": "200",
        "filters.rejection.learning_rate": "0.003",
        "filters.rejection.minimum_gain": "0.1",
        "filters.batch": "32",
        "training.num_epochs": "3.0",
        "comparison.handcrafted": f"('{rival}',)",
        "comparison.num_divisions": "1",
        "comparison.test_seeds": "2",
        "execution.workers": "1",
    }
    summary = jaxloss.run(config_of(data_dir, overrides), tmp_path / "run").summary
    assert summary["metric"] == "ap50"
    assert summary["counts"]["trained"] == 4
    found, handcrafted = sorted(summary["comparison"], key=lambda row: row["name"] == rival)
    assert handcrafted["name"] == rival
    assert {"ap", "ap50", "ap75", "ap of square"} <= found["tuned"]["test_scores"].keys()
    assert "regression" in (tmp_path / "run" / "report.html").read_text()
    capsys.readouterr()
    assert export.main([str(tmp_path / "run")]) == 0
    assert "def " in capsys.readouterr().out
