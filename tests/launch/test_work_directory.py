"""What a command leaves in its work directory, and what it finds there."""

import json

import pytest

from jaxloss.runs import open_for_reading
from jaxloss.tasks.base import STORED_RANGES
from tests.launch.command import run


def test_a_work_directory_below_a_file(refused, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot use work directory" in refused(workdir=tmp_path / "file" / "run")
    assert "it is a file" in refused(workdir=tmp_path / "file")


def test_a_run_that_fails_before_any_training_bars_no_corrected_config(refused, tmp_path, capsys):
    """Nothing passes the filters: found out only when the search is on, and still nothing is left."""
    assert "no candidate passed the filters in 3 draws" in refused("filters.max_attempts=3", "filters.rejection.iterations=1")
    assert run(tmp_path / "run", "mode=train", "loss=cross_entropy", "comparison.test_seeds=1") == 0
    assert "cross" in capsys.readouterr().out


def test_a_command_that_is_repeated_adds_nothing_to_the_time(tmp_path):
    """Every transaction holds the clock, so that a killed start counts; a start that finds nothing to do does not."""
    arguments = (tmp_path / "run", "mode=train", "loss=cross_entropy", "comparison.test_seeds=1")

    def seconds():
        with open_for_reading(tmp_path / "run") as opened:
            return opened.read_summary()["seconds"]["total"], opened.archive.state("clock")["seconds"]

    assert run(*arguments) == 0
    first = seconds()
    assert first[0] == pytest.approx(first[1], abs=0.1)
    assert run(*arguments) == 0
    assert seconds() == (first[1], first[1])
    assert run(*arguments[:-1], "comparison.test_seeds=2") == 0
    assert seconds()[0] > first[1]


@pytest.mark.parametrize("mode", ["train", pytest.param("compare", marks=pytest.mark.slow)])
def test_trainings_that_meet_nan_are_named(tmp_path, capsys, mode):
    explodes = "Mul(target, Exp(Exp(Exp(Inv(prediction)))))"
    losses = [f"loss={explodes}"] if mode == "train" else [f"losses=('{explodes}', 'cross_entropy')"]
    assert run(tmp_path / "run", f"mode={mode}", *losses) == 0
    table = capsys.readouterr().out
    assert "4 of 4 trainings met NaN or infinity" in table
    with open_for_reading(tmp_path / "run") as opened:
        summary = opened.read_summary()
        assert summary["stopped_by_nan"] == sum(not row.finite for row in opened.archive.trainings()) > 0
    stopped = {row["kind"]: row["tuned"]["stopped_by_nan"] for row in summary["comparison"]}
    assert stopped == ({"given": 4} if mode == "train" else {"given": 4, "handcrafted": 0})
    assert "(4 of 4 trainings met NaN)" in (tmp_path / "run" / "report.html").read_text()


def test_a_lost_archive_stops_the_run_until_it_is_to_begin_again(tmp_path, capsys):
    arguments = (tmp_path / "run", "mode=train", "loss=cross_entropy", "comparison.test_seeds=1")
    assert run(*arguments) == 0
    (tmp_path / "run" / "archive.sqlite").unlink()
    kept = (tmp_path / "run" / "summary.json").read_bytes()
    capsys.readouterr()
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "archive.sqlite of the run" in error
    assert "give the same command with --restart" in error
    assert (tmp_path / "run" / "summary.json").read_bytes() == kept
    assert run(*arguments, "training.momentum=0.5", "seed=3", flags=["--restart"]) == 0
    assert (tmp_path / "run.1" / "summary.json").read_bytes() == kept
    with open_for_reading(tmp_path / "run") as opened:
        assert opened.config["seed"] == 3
        assert "--restart" not in opened.read_summary()["command"]


def test_a_damaged_summary_is_made_again_by_the_same_command(tmp_path):
    arguments = (tmp_path / "run", "mode=train", "loss=cross_entropy", "comparison.test_seeds=1")
    path = tmp_path / "run" / "summary.json"
    assert run(*arguments) == 0
    before = json.loads(path.read_text())
    path.write_text("{}")
    assert run(*arguments) == 0
    clocks = dict.fromkeys(("seconds", "compilations"))
    assert {**json.loads(path.read_text()), **clocks} == {**before, **clocks}


def test_a_run_of_another_config_is_refused_and_kept(tmp_path, capsys):
    arguments = (tmp_path / "run", "mode=train", "loss=cross_entropy", "comparison.test_seeds=1")
    assert run(*arguments) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    capsys.readouterr()
    assert run(*arguments, "training.momentum=0.5", "seed=3") == 2
    error = capsys.readouterr().err
    assert "this run was begun with seed = 0, not 3" in error
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    # What may change does: more seeds for the comparison.
    assert run(*arguments[:-1], "comparison.test_seeds=2") == 0
    with open_for_reading(tmp_path / "run") as opened:
        assert len(opened.archive.trainings("train")) == 4
        assert opened.archive.state(STORED_RANGES) == {"classification": {"prediction": [0, 1], "target": [0, 1]}}
    assert len(json.loads((tmp_path / "run" / "config_history.json").read_text())) == 1
