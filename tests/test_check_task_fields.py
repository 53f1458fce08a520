"""A field of a task that holds something of another type is named in one line, before it is used."""

import dataclasses

import pytest

from jaxloss import launch
from jaxloss.core.errors import UserError
from jaxloss.tasks.check_fields import check_task_fields
from jaxloss.tasks.fast import FastSettings
from jaxloss.tasks.registry import TASKS, RegisteredTask
from tests.changed_tasks import BRANCH, TASK

MISTAKES = {
    "name": (None, "name of the task None must be a text, not None"),
    "metric": (3, "metric of the task fast must be a text, not an int"),
    "also_shown": ("recall", "also_shown of the task fast must be a tuple of names, not 'recall'"),
    "offers": ([BRANCH], "offers of the task fast must be a dict, not a list"),
    "problems": (None, "problems of the task fast must be a dict, not None"),
    "data": ([1], "data of the task fast must be a dict, not a list"),
    "ranges": ("wide", "ranges of the task fast must be a dict, not 'wide'"),
    "meanings": (
        {"classification": {"prediction": 3}},
        "meanings['classification'] of the task fast must be a dict {input: text}, not {'prediction': an int}",
    ),
    "auxiliary_losses": ({"extra": 3}, "auxiliary_losses['extra'] of the task fast must be a function, not an int"),
    "init": ({"params": {}}, "init of the task fast must be a function, not {'params': {}}"),
    "final_scores": (1.0, "final_scores of the task fast must be a function or None, not a float"),
    "forward_over": ("devices", "forward_over of the task fast must be a function or None, not 'devices'"),
    "host_metrics": (3, "host_metrics of the task fast must be HostMetrics or None, not an int"),
    "pictures": (len, "pictures of the task fast must be Pictures or None, not a builtin_function_or_method"),
    "parts": (
        {"recall": ["cat"]},
        "parts['recall'] of the task fast must be a dict {part: name of a score}, not a list",
    ),
    "with_division": (TASK, "with_division of the task fast must be a function, not a Task"),
}


def test_a_sound_task_has_no_mistake():
    check_task_fields(TASK)


@pytest.mark.parametrize("field", MISTAKES)
def test_a_field_of_another_type(field):
    value, says = MISTAKES[field]
    with pytest.raises(UserError) as caught:
        check_task_fields(dataclasses.replace(TASK, **{field: value}))
    assert str(caught.value) == says


@pytest.mark.parametrize(
    ("offers", "says"),
    [
        ({}, "offers of the task fast must be a dict of at least one branch, not {}"),
        ({BRANCH: "score"}, "offers['classification'] of the task fast must be a tuple of names of arrays, not 'score'"),
        ({BRANCH: ()}, "offers['classification'] of the task fast must be a tuple of names of arrays, not ()"),
    ],
)
def test_offers_of_nothing(offers, says):
    with pytest.raises(UserError) as caught:
        check_task_fields(dataclasses.replace(TASK, offers=offers))
    assert str(caught.value) == says


COMMANDS = {
    **{field: MISTAKES[field] for field in ("offers", "problems", "data", "ranges")},
    "details": (
        {"network": len},
        "writing the details of the task fast raises TypeError: a builtin_function_or_method cannot be written as JSON",
    ),
}


@pytest.mark.parametrize("field", COMMANDS)
def test_a_command_says_it_before_a_directory_is_made(field, tmp_path, monkeypatch, capsys):
    value, says = COMMANDS[field]
    changed = dataclasses.replace(TASK, **{field: value})
    task = dataclasses.replace(changed, with_division=lambda division: changed)
    monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, lambda *_: task))
    assert launch.main(["--config=tests/configs/tiny.py", f"--workdir={tmp_path / 'run'}"]) == 2
    assert capsys.readouterr().err == f"error: {says}\n"
    assert not (tmp_path / "run").exists()
