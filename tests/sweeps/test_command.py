"""The command that carries out a sweep."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest

from jaxloss import launch, sweep
from jaxloss.sweeps.rows import Row, found_often

CONFIG = "tests/configs/tiny_sweep.py"


def command(workdir, *arguments):
    return [f"--config={CONFIG}", f"--workdir={workdir}", *arguments]


def rows(workdir):
    with (workdir / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


def test_what_is_there_is_shown(tmp_path, capsys):
    path = tmp_path / "seed=0,learning_rate=0.03"
    assert (
        launch.main([f"--config={CONFIG}", f"--workdir={path}", "--config.seed=0", "--config.training.learning_rate=0.03"]) == 0
    )
    (tmp_path / "seed=1,learning_rate=0.03").mkdir()
    assert sweep.main(command(tmp_path, "--show", "--where=learning_rate=0.03")) == 0
    assert "1 of 2 runs" in capsys.readouterr().out
    first, second = rows(tmp_path)
    assert (first["state"], first["seed"], second["state"]) == ("finished", "0", "not begun")
    assert float(first["test_low"]) <= float(first["test_mean"]) <= float(first["test_high"])
    assert first["rival"] in ("cross_entropy", "focal")
    page = (tmp_path / "sweep.html").read_text()
    assert first["loss"].replace("'", "&#39;") in page
    assert 'href="seed%3D0%2Clearning_rate%3D0.03/report.html"' in page


def test_a_transfer_without_a_loss_says_so(tmp_path, capsys):
    assert sweep.main(command(tmp_path, "--show", "--transfer")) == 0
    assert "none of these runs has found a loss" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--workdir=x"], "--config is missing"),
        ([f"--config={CONFIG}"], "--workdir is missing"),
        (["--config=tests/configs/tiny.py", "--workdir=x"], "'tests/configs/tiny.py' needs a function get_sweep() that returns"),
        (command("x", "--paralel=2"), "unknown argument '--paralel'. Did you mean '--parallel'"),
        (command("x", "--executor=rya"), "unknown --executor 'rya'. Did you mean 'ray'?"),
        (command("x", "--address=auto"), "--address is that of a Ray cluster: it needs --executor=ray"),
        (command("x", "--parallel=0"), "--parallel must be a whole number above 0, not '0'"),
        # A value may stand behind its argument.
        (command("x", "--parallel", "0"), "--parallel must be a whole number above 0, not '0'"),
        (["--config", CONFIG, "--workdir", "x", "--config.sed", "1"], "unknown config key 'sed'"),
        (command("x", "--where", "seed"), "the argument '--where' is not complete"),
        (command("x", "--parallel"), "the argument '--parallel' is not complete"),
        (command("x", "--config.seed"), "the argument '--config.seed' is not complete"),
        (command("x", "--config.seed", "--show"), "the argument '--config.seed' is not complete"),
        # One of the two would be left out in silence.
        (command("x", "--parallel=1", "--parallel", "2"), "the argument '--parallel' is given twice"),
        (command("x", "--config.seed=1", "--config.seed", "2"), "the argument '--config.seed' is given twice"),
        (command("x", "--where=seed=0", "--where", "seed=1"), "the argument '--where=seed' is given twice"),
        (command("x", "--where=seed"), "the argument '--where=seed' is not complete"),
        (command("x", "--show=1"), "the argument '--show=1' is not complete"),
        (command("x", "seed=1"), "unexpected argument 'seed=1'"),
        # Before anything begins, and it is said which run it is.
        (command("x", "--config.sed=1"), "seed=0,learning_rate=0.03: unknown config key 'sed'"),
    ],
)
def test_mistakes_are_one_line(capsys, arguments, says):
    assert sweep.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert says in error
    assert error.count("\n") == 1
    assert not os.path.exists("x")


def test_losses_that_several_runs_found():
    found = [("a", "p + q", "1"), ("b", "q", "2"), ("c", "q+p", "1"), ("d", "gce", None), ("e", "gce", None)]
    listed = [Row(name, {}, "finished", loss=loss, key=key) for name, loss, key in found]
    assert found_often(listed) == [("q+p", ["a", "c"])]


def start(workdir, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "jaxloss.sweep", *command(workdir, *arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_goes_on_after_it_was_stopped_and_its_losses_meet_all_tasks(tmp_path, how):
    stopped = start(tmp_path, "--parallel=2")
    archive = tmp_path / "seed=0,learning_rate=0.03" / "archive.sqlite"
    while not archive.exists():
        assert stopped.poll() is None, stopped.stderr.read()
        time.sleep(0.1)
    stopped.send_signal(how)
    _, error = stopped.communicate()
    if how == signal.SIGINT:
        assert stopped.returncode == 130
        assert error.splitlines()[-1].startswith("stopped; everything done is saved. To go on: python -m jaxloss.sweep")
    # At once: runs whose sweep was killed stop by themselves, and are waited for.
    done = start(tmp_path, "--parallel=2", "--transfer")
    output, error = done.communicate()
    assert done.returncode == 0, error
    assert "4 of 4 runs" in output
    assert {row["state"] for row in rows(tmp_path)} == {"finished"}
    assert "Every loss on every task" in (tmp_path / "sweep.html").read_text()
    # Nothing is done twice.
    again = start(tmp_path, "--transfer")
    _, error = again.communicate()
    assert "begins" not in error


@pytest.mark.slow
def test_a_run_that_fails_leaves_the_others_be(tmp_path):
    (tmp_path / "seed=1,learning_rate=0.1").write_text("no directory")
    failed = start(tmp_path)
    _, error = failed.communicate()
    assert failed.returncode == 1
    assert error.splitlines()[-1].startswith("failed: seed=1,learning_rate=0.1: error: ")
    assert [row["state"] for row in rows(tmp_path)] == ["finished"] * 3 + ["not begun"]
