"""A task from outside the package may ask for what the run is like: its factory has a parameter `context`."""

import dataclasses
import json

import pytest

import jaxloss
from examples.own_task import make_task
from jaxloss import launch

BASE = [
    "--config=configs/autoloss_zero_digits.py",
    "--config.space.autoloss_zero.branches=regression",
    "--config.mode=train",
    "--config.loss=Square(Add(prediction,Neg(target)))",
    "--config.training.num_epochs=1",
    "--config.comparison.test_seeds=1",
    "--config.quiet=True",
]


def from_a_folder(size: int = 64, context: jaxloss.TaskContext | None = None) -> jaxloss.Task:
    """A task that says what it was given."""
    details = {"folder": context.data_dir, "batch_size": context.batch_size, "mode": context.mode}
    return dataclasses.replace(make_task(size), details=details, with_division=lambda division: from_a_folder(size, context))


def test_it_is_given_the_folder_of_the_data(tmp_path):
    run = tmp_path / "run"
    name = "--config.task.name=tests.test_context_of_own_task:from_a_folder"
    assert launch.main([*BASE, name, f"--config.data_dir={tmp_path}", f"--workdir={run}"]) == 0
    details = json.loads((run / "summary.json").read_text())["task_details"]
    assert {name: details[name] for name in ("folder", "batch_size", "mode")} == {
        "folder": str(tmp_path),
        "batch_size": 64,
        "mode": "train",
    }


@pytest.mark.parametrize(
    ("factory", "argument", "says"),
    [
        ("examples.own_task:make_task", "--config.data_dir=x", "config key data_dir does nothing in this run"),
        ("tests.test_context_of_own_task:from_a_folder", "--config.task.options.context=3", "a task gets it from the run"),
    ],
)
def test_what_would_do_nothing_is_refused(tmp_path, capsys, factory, argument, says):
    run = tmp_path / "run"
    assert launch.main([*BASE, f"--config.task.name={factory}", argument, f"--workdir={run}"]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not run.exists()
