"""A task of one's own, as the documentation shows it: one factory, named in the config."""

from pathlib import Path

from jaxloss import launch
from jaxloss.runs import open_for_reading
from tests.short_comparison import SHORT_COMPARISON

REPOSITORY = Path(__file__).parents[1]


def test_the_example_runs_through_the_command_line(tmp_path, monkeypatch, capsys):
    """A search that is given the squared error keeps it or finds better; no part needs to know the task."""
    monkeypatch.chdir(REPOSITORY)
    overrides = {
        "task.name": "examples.own_task:make_task",
        "space.autoloss_zero.branches": "regression",
        "comparison.handcrafted": "()",
        "filters.rejection.minimum_gain": "0.2",
        "search.seeds": "Square(Add(prediction, Neg(target)))",
        "search.control": "false",
        "search.num_trainings": "4",
        "quiet": "false",
        "training.num_epochs": "20.0",
        **SHORT_COMPARISON,
    }
    arguments = ["--config=tests/configs/tiny.py", f"--workdir={tmp_path / 'run'}"]
    assert launch.main(arguments + [f"--config.{key}={value}" for key, value in overrides.items()]) == 0
    printed = capsys.readouterr()
    assert "a line" in printed.out
    # Nor has a run that is new any curves to miss.
    assert "metrics.jsonl lacks trainings" not in printed.err
    with open_for_reading(tmp_path / "run") as run:
        summary = run.read_summary()
    assert summary["metric"] == "closeness"
    assert summary["best"]["search_eval"] > 0.7
    # The example says nothing of its numbers, so nothing is assumed; '' where a formula could not be simplified.
    assert {row["domain"] for row in summary["ranking"]} - {""} == {"any real prediction, any real target"}
