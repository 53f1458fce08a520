"""What a search says that cannot go on, or has nothing to do."""

import dataclasses

import jax.numpy as jnp
import pytest

from jaxloss.runs import open_for_reading
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.registry import TASKS, RegisteredTask
from tests.launch.command import run
from tests.short_comparison import SHORT_COMPARISON

SEARCH_ALONE = (
    "search.control=false",
    "comparison.handcrafted=()",
    "filters.rejection.enabled=false",
    *(f"{key}={value}" for key, value in SHORT_COMPARISON.items()),
)


def test_a_search_whose_trainings_all_meet_nan_names_what_may_be_the_cause(tmp_path, capsys, monkeypatch):
    """Here the data: one example of a class that an untrained network would take it for, so that no filter meets it."""

    def with_nan(*_):
        task = make_fast()
        train = task.data[TRAIN]
        row = jnp.argmin(train["label"])
        point = train["point"].at[row].set(jnp.nan)
        return dataclasses.replace(task, data={**task.data, TRAIN: {**train, "point": point}}, with_division=with_nan)

    monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, with_nan))
    assert run(tmp_path / "run", *SEARCH_ALONE) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "error: every training of the evolution met NaN or infinity: lower training.learning_rate, or look for NaN"
    )
    assert "the data" in line
    assert "parameters" in line
    with open_for_reading(tmp_path / "run") as opened:
        assert len(opened.archive.trainings("evolution")) == 6


@pytest.mark.slow
def test_a_smaller_budget_than_what_was_done_is_one_line(tmp_path, capsys):
    def said(number):
        assert run(tmp_path / "run", *SEARCH_ALONE, f"search.num_trainings={number}", "quiet=false") == 0
        with open_for_reading(tmp_path / "run") as opened:
            trainings = len(opened.archive.trainings("evolution"))
        return trainings, [
            line for line in capsys.readouterr().err.splitlines() if "search.num_trainings" in line or "lacks" in line
        ]

    assert said(4) == (4, [])
    lines = [
        "search.evolution.initial_population=3: search.num_trainings allows 3 candidates: all are drawn at random and none by "
        "evolution",
        "evolution has done 4 trainings, more than search.num_trainings=3: they stay, and it does no more",
    ]
    assert said(3) == (4, lines)
