"""A run that an earlier version wrote opens, is reported, exported and gone on with: `stored_run` is of commit 30ab799."""

import ast
import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss import export, launch
from jaxloss.report import __main__ as report
from jaxloss.runs import Archive, TrainingRow
from jaxloss.runs.declared import FILTERS, DeclaredFilter

STORED = Path(__file__).parent / "stored_run"
OVERRIDES = {
    "task.name": "fast",
    "space.autoloss_zero.branches": "classification",
    "search.num_trainings": "6",
    "training.num_epochs": "2",
    "comparison.rank_candidates": "2",
    "comparison.num_found": "1",
    "comparison.tuning_trainings": "4",
    "comparison.tuning_finalists": "2",
    "comparison.tuning_seeds": "1",
    "comparison.handcrafted": "('cross_entropy', 'gce')",
    "filters.rejection.iterations": "100",
    "filters.rejection.minimum_gain": "0.2",
    "compilation_cache": "",
    "quiet": "true",
}


@pytest.fixture
def run(tmp_path):
    return Path(shutil.copytree(STORED, tmp_path / "run"))


def test_its_records_are_there(run):
    results = jaxloss.open_run(run)
    summary = json.loads((STORED / "summary.json").read_text())
    assert results.summary == summary
    for frame, records in ((results.ranking(), summary["ranking"]), (results.comparison(), summary["comparison"])):
        assert set(frame) >= set().union(*records)
        for name in set().union(*records):
            assert frame[name].astype(object).where(frame[name].notna(), None).tolist() == [one.get(name) for one in records]
    trained = results.candidates().query("training")
    assert set(trained["search"]) == {"evolution", "random_search"}
    assert len(trained) == 2 * summary["counts"]["trained"]
    assert set(results.trainings()["stage"]) >= {"evolution", "random_search", "tune", "test tuned"}


def test_what_its_filters_declared_is_read_and_would_be_stored_again_as_it_is(run):
    with Archive(run / "archive.sqlite", read_only=True) as archive:
        stored = archive.state(FILTERS)
    declared = [DeclaredFilter.from_json(one) for one in stored]
    assert [one.to_json() for one in declared] == stored
    assert "a look at the leaves" in {one.title for one in declared}
    assert all(one.reasons for one in declared)


def test_its_best_loss_is_a_function(run):
    loss = jaxloss.open_run(run).best
    prediction, target = jnp.full((2, 3), 0.3), jnp.eye(3)[:2]
    assert np.isfinite(loss(prediction, target))
    for rank in ("a", 1.0, True, None):
        with pytest.raises(jaxloss.UserError, match="rank must be a whole number, not"):
            jaxloss.open_run(run).loss(rank)


def test_it_is_reported_with_its_losses_drawn(run, capsys):
    assert report.main([str(run)]) == 0
    assert capsys.readouterr().err == ""
    page = (run / "report.html").read_text()
    assert "Cross-entropy, for reference" in page
    assert page.count("pull on the right logit") >= 2
    assert "does not contain the prediction" in page


@pytest.mark.parametrize("format", ["python", "torch", "latex", "sympy", "text"])
def test_it_is_exported(run, capsys, format):
    summary = json.loads((STORED / "summary.json").read_text())
    assert export.main([str(run), f"--format={format}"]) == 0
    text = capsys.readouterr().out
    wanted = {
        "python": "def loss(prediction, target",
        "torch": "values and gradients are those of JAX",
        "latex": summary["best"]["latex"],
        "text": summary["best"]["formula"],
        "sympy": summary["best"]["simplified"],
    }
    assert wanted[format] in text


def test_the_head_of_its_code_says_what_it_is_worth(run, capsys):
    assert export.main([str(run), "--format=numpy"]) == 0
    head = ast.get_docstring(ast.parse(capsys.readouterr().out))
    tuned = json.loads((STORED / "summary.json").read_text())["comparison"][0]["tuned"]
    assert "Task: fast, accuracy." in head
    assert f"On the test split, tuned: {tuned['test_mean']:.4f}, 95% interval" in head
    # The run is older than the words for its inputs.
    assert "What goes in" not in head
    loss = jaxloss.load_loss(run)
    assert "def loss(prediction, target" in loss.python("keras")
    assert "On the test split, tuned: " in loss.python()
    with pytest.raises(jaxloss.UserError, match=r"unknown framework 'torhc'\. Did you mean 'torch'"):
        loss.python("torhc")


# --- its archive is of format 2, in which the number of a division is called a split ------------------------------------------


def columns(path):
    with contextlib.closing(sqlite3.connect(path)) as file:
        (version,) = file.execute("PRAGMA user_version").fetchone()
        return version, {row[1] for row in file.execute("PRAGMA table_info(trainings)")} & {"split", "division"}


def key_of(row):
    return {name: getattr(row, name) for name in TrainingRow.PRIMARY_KEY}


def test_reading_its_archive_changes_no_byte(run):
    path = run / "archive.sqlite"
    before = path.read_bytes()
    with Archive(path, read_only=True) as archive:
        rows = archive.trainings(stage="test tuned")
        assert {row.division for row in rows} == {0, 1}
        assert [archive.find_training(**key_of(row)) for row in rows] == rows
        assert archive.find_training(**{**key_of(rows[0]), "division": 7}) is None
    assert path.read_bytes() == before
    with Archive(path) as archive:
        assert archive.trainings(stage="test tuned") == rows
    assert path.read_bytes() == before


def test_the_first_commit_upgrades_its_archive(run):
    path = run / "archive.sqlite"
    with Archive(path) as archive, Archive(path, read_only=True) as reader:
        before, rows = archive.comparable(ignore=()), archive.trainings()
        archive.commit(state={"clock": archive.state("clock")})
        assert columns(path) == (4, {"division"})
        for one in (archive, reader):
            assert one.comparable(ignore=()) == before
            assert [one.find_training(**key_of(row)) for row in rows] == rows
    with Archive(path) as archive:
        assert archive.comparable(ignore=()) == before


def test_a_commit_that_fails_upgrades_nothing(run):
    path = run / "archive.sqlite"
    with Archive(path) as archive:
        before, rows = archive.comparable(ignore=()), archive.trainings()
        with pytest.raises(sqlite3.IntegrityError):
            archive.commit(trainings=rows[:1])
        assert columns(path) == (2, {"split"})
        assert archive.comparable(ignore=()) == before
        assert archive.find_training(**key_of(rows[0])) == rows[0]


def test_an_upgrade_that_is_killed_half_way_is_rolled_back(run, tmp_path):
    """What lies on the disk in the middle of the transaction, with its journal, is what a kill leaves."""
    path, killed = run / "archive.sqlite", tmp_path / "killed.sqlite"
    with Archive(path) as archive:
        before = archive.comparable(ignore=())
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        # So small a cache brings half a transaction to the disk.
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN")
        writer.execute("ALTER TABLE trainings RENAME COLUMN split TO division")
        writer.execute("PRAGMA user_version = 3")
        writer.execute("UPDATE trainings SET seconds = 0")
        writer.execute("UPDATE candidates SET seconds = 0")
        shutil.copy(path, killed)
        shutil.copy(f"{path}-journal", f"{killed}-journal")
        assert killed.read_bytes() != (STORED / "archive.sqlite").read_bytes()
        writer.execute("ROLLBACK")
    with Archive(killed) as archive:
        assert archive.comparable(ignore=()) == before
        assert columns(killed) == (2, {"split"})
        archive.commit()
        assert columns(killed) == (4, {"division"})
        assert archive.comparable(ignore=()) == before


def test_it_is_gone_on_with(run, capsys):
    """A second seed for the test: what is there is not trained again. It was tuned by another rule, so that the tuning is new."""
    with Archive(run / "archive.sqlite", read_only=True) as archive:
        before = archive.trainings()
    more = {"comparison.test_seeds": "2", "quiet": "false"}
    overrides = [f"--config.{key}={value}" for key, value in {**OVERRIDES, **more}.items()]
    arguments = ["--config=configs/autoloss_zero_digits.py", f"--workdir={run}", *overrides]
    assert launch.main(arguments) == 0, capsys.readouterr().err
    # Its curves are in no file, and its archive did not keep them yet.
    assert capsys.readouterr().err.count("metrics.jsonl lacks trainings of evolution, and this archive") == 1
    with Archive(run / "archive.sqlite", read_only=True) as archive:
        rows = archive.trainings()
    assert rows[: len(before)] == before
    added = rows[len(before) :]
    assert {row.stage for row in added} == {"baseline", "tune", "test untuned", "test tuned"}
    # Three losses as they are, once more on both divisions.
    assert [(row.division, row.seed) for row in added if row.stage == "test untuned"] == 3 * [(0, 12001), (1, 12001)]
    config = json.loads((run / "config.json").read_text())
    assert config["comparison"]["divisions"] == [0, 1]
    assert "splits" not in config["comparison"]
    assert columns(run / "archive.sqlite") == (4, {"division"})
