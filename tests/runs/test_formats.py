"""Archives of every format that was ever written: each has a run in `tests/archives`, made by the code of its time.

They are short runs of the commits 3c0a8f3, 3f80c0c and f48a826, the last before the next format, and of bd929c1, the first of
format 4.
"""

import contextlib
import shutil
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest

import jaxloss
from jaxloss import command
from jaxloss.runs import Archive, CandidateRow, TrainingRow, json_text
from tests.errors import user_error
from tests.runs.contents import candidate

STORED = Path(__file__).parents[1] / "archives"
READ = (2, 3, 4)
# What the runs were begun with; those of later formats ask for more trainings of a tuning.
COMMAND = [
    "--config=configs/autoloss_zero_digits.py",
    "--config.task.name=fast",
    "--config.space.autoloss_zero.branches=classification",
    "--config.search.num_trainings=2",
    "--config.search.control=false",
    "--config.training.num_epochs=1",
    "--config.comparison.handcrafted=('cross_entropy',)",
    "--config.comparison.rank_candidates=1",
    "--config.comparison.num_found=1",
    "--config.comparison.tuning_trainings=4",
    "--config.comparison.tuning_finalists=2",
    "--config.comparison.tuning_seeds=1",
    "--config.comparison.test_seeds=1",
    "--config.filters.rejection.iterations=50",
    "--config.filters.rejection.minimum_gain=0.2",
    "--config.compilation_cache=",
    "--config.quiet=true",
]


def unpacked(number, folder):
    with zipfile.ZipFile(STORED / f"format_{number}.zip") as file:
        file.extractall(folder / "run")
    return folder / "run"


def format_of(path):
    with contextlib.closing(sqlite3.connect(path)) as file:
        return file.execute("PRAGMA user_version").fetchone()[0]


def written(path, table):
    """The rows as they lie in the file, whatever their columns are called, in the order of their commits."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        return file.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()


def read(archive):
    return {
        "candidates": [tuple(row.to_sql()) for row in archive.candidates()],
        "trainings": [tuple(row.to_sql()) for row in archive.trainings()],
    }


def test_every_format_has_its_file(tmp_path):
    """A new format needs a file of its own here, before the next one is made."""
    with Archive(tmp_path / "a.sqlite"):
        pass
    numbers = range(1, format_of(tmp_path / "a.sqlite") + 1)
    assert sorted(file.name for file in STORED.iterdir()) == [f"format_{number}.zip" for number in numbers]
    for number in numbers:
        assert format_of(unpacked(number, tmp_path / f"{number}") / "archive.sqlite") == number


@pytest.mark.parametrize("number", READ)
def test_its_rows_are_read_as_they_were_written(tmp_path, number):
    path = unpacked(number, tmp_path) / "archive.sqlite"
    expected, before = {table: written(path, table) for table in ("candidates", "trainings")}, path.read_bytes()
    assert [len(rows) for rows in expected.values()] == [6, 17 if number == 2 else 22]
    for read_only in (True, False):
        with Archive(path, read_only=read_only) as archive:
            assert read(archive) == expected
            for row in archive.trainings():
                key = {name: getattr(row, name) for name in TrainingRow.PRIMARY_KEY}
                assert archive.find_training(**key) == row
            assert archive.state("evolution")["counts"]["trained"] == 2
            assert len(archive.metrics()) == (2 if number == 4 else 0)
    assert path.read_bytes() == before


@pytest.mark.parametrize("number", READ)
def test_the_next_commit_keeps_them_and_is_of_today(tmp_path, number):
    path = unpacked(number, tmp_path) / "archive.sqlite"
    with Archive(path) as archive:
        before, state = read(archive), archive.comparable(ignore=())["state"]
        archive.commit([candidate(99)], metrics=[{"step": 9, "score": 0.5}])
    with Archive(tmp_path / "new.sqlite"):
        pass
    assert format_of(path) == format_of(tmp_path / "new.sqlite")
    with Archive(path, read_only=True) as archive:
        now = read(archive)
        assert archive.candidates()[-1] == candidate(99)
        assert now["candidates"][:-1] == before["candidates"]
        assert now["trainings"] == before["trainings"]
        assert json_text.dumps(archive.comparable(ignore=())["state"]) == json_text.dumps(state)
        assert archive.metrics()[-1] == {"step": 9, "score": 0.5}


@pytest.mark.parametrize("number", READ)
def test_its_run_has_its_results_and_its_best_loss(tmp_path, number):
    results = jaxloss.open_run(unpacked(number, tmp_path))
    assert results.ranking()["formula"].tolist() == [entry["formula"] for entry in results.summary["ranking"]]
    assert len(results.candidates()) == 6
    prediction, target = np.full((2, 3), 0.3, np.float32), np.eye(3, dtype=np.float32)[:2]
    assert np.isfinite(results.best(prediction, target))


def test_the_first_format_says_what_to_do(tmp_path, capsys):
    """It lacks the scores of a training, without which no table can be made."""
    run = unpacked(1, tmp_path)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    says = ("has format 1, this jaxloss writes format 4", "use another directory, or the jaxloss that wrote it")
    for open_it in (
        lambda: Archive(run / "archive.sqlite"),
        lambda: Archive(run / "archive.sqlite", read_only=True),
        lambda: jaxloss.open_run(run).candidates(),
    ):
        with user_error(*says):
            open_it()
    for arguments in (["report", str(run)], ["export", str(run)], ["search", f"--workdir={run}", *COMMAND]):
        assert command.main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert all(part in line for part in says), line
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.name != "run.lock"} == before


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_its_run_goes_on_or_is_set_aside(tmp_path, number):
    """By the command of its time; the first format with `--restart`, which keeps what was there."""
    run = unpacked(number, tmp_path)
    shutil.copytree(run, tmp_path / "before")
    assert command.main(["search", f"--workdir={run}", *COMMAND, *(["--restart"] if number == 1 else [])]) == 0
    if number == 1:
        assert (tmp_path / "run.1" / "archive.sqlite").read_bytes() == (tmp_path / "before" / "archive.sqlite").read_bytes()
        return
    with Archive(run / "archive.sqlite", read_only=True) as now, Archive(tmp_path / "before" / "archive.sqlite") as then:
        assert now.candidates() == then.candidates()
        assert now.trainings()[: len(then.trainings())] == then.trainings()
        assert {type(row) for row in now.candidates()} == {CandidateRow}
