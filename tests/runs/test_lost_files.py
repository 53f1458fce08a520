"""Files that a run has lost are made again where the archive has what they say, and named where it has not."""

import contextlib
import json
import shutil
import sqlite3

import pytest

from jaxloss.runs import Archive, RunDirectory, open_for_reading
from jaxloss.runs.archive import CONFIG
from jaxloss.runs.claim import set_aside
from jaxloss.runs.metrics import metric_line
from tests.errors import user_error
from tests.runs.contents import CONFIG as GIVEN
from tests.runs.contents import candidate

OTHER = {**GIVEN, "seed": 7}


@pytest.fixture
def finished(tmp_path):
    """A run with a row, a line of its curves, and a summary."""
    path = tmp_path / "run"
    with RunDirectory.open(path, GIVEN) as run:
        line = metric_line(1, {"score": 0.5})
        run.archive.commit([candidate(0)], metrics=[line])
        run.metrics.write(line)
        run.write_summary({"best": 0.5})
    return path


@pytest.mark.parametrize(("content", "says"), [(None, "missing"), ("{}", "damaged"), ('{"sea', "damaged")])
def test_a_run_without_its_config_keeps_to_it(finished, content, says):
    before = (finished / "config.json").read_bytes()
    (finished / "config.json").unlink()
    if content is not None:
        (finished / "config.json").write_text(content)
    with open_for_reading(finished) as run:
        assert run.config == json.loads(before)
    with user_error("seed = 0, not 7", str(finished)):
        RunDirectory.open(finished, OTHER)
    with RunDirectory.open(finished, GIVEN) as run:
        assert run.resumed
        assert run.remarks == [f"config.json was {says}: it is made again from the archive"]
    assert (finished / "config.json").read_bytes() == before


def test_a_changed_config_is_in_the_archive_too(finished):
    with RunDirectory.open(finished, OTHER, may_change=("seed",)) as run:
        assert run.remarks == []
    (finished / "config.json").unlink()
    with user_error("seed = 7, not 0"):
        RunDirectory.open(finished, GIVEN)
    (change,) = json.loads((finished / "config_history.json").read_text())
    assert (change["was"], change["now"]) == (0, 7)


def forget_the_config(path):
    with contextlib.closing(sqlite3.connect(path / "archive.sqlite")) as file, file:
        assert file.execute("DELETE FROM state WHERE name = ?", (CONFIG,)).rowcount == 1


@pytest.mark.parametrize(("content", "says"), [(None, "is missing"), ("{}", "is damaged; restore it")])
def test_an_archive_that_does_not_say_its_config_needs_the_file(finished, content, says):
    """One of an earlier version."""
    forget_the_config(finished)
    with RunDirectory.open(finished, GIVEN):
        pass
    with Archive(finished / "archive.sqlite") as archive:
        assert archive.state(CONFIG)["seed"] == 0
    forget_the_config(finished)
    (finished / "config.json").unlink()
    if content is not None:
        (finished / "config.json").write_text(content)
    for opened in (open_for_reading, lambda path: RunDirectory.open(path, GIVEN)):
        with user_error("config.json", says):
            opened(finished)


@pytest.mark.parametrize("without", [(), ("config.json",), ("summary.json",), ("run.lock",)])
@pytest.mark.parametrize("content", [None, b""])
def test_a_run_without_its_archive_is_not_begun_again_in_silence(finished, content, without):
    (finished / "archive.sqlite").unlink()
    if content is not None:
        (finished / "archive.sqlite").write_bytes(content)
    for name in without:
        (finished / name).unlink()
    before = {path: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    for config in (GIVEN, OTHER):
        with user_error("archive.sqlite", "empty" if content == b"" else "missing", "restore it", "--restart"):
            RunDirectory.open(finished, config)
    assert {path: path.read_bytes() for path in finished.iterdir() if path.is_file()} == before
    with user_error("archive.sqlite"):
        open_for_reading(finished)


def test_an_archive_that_lost_its_content_is_not_filled_again_in_silence(finished):
    (finished / "archive.sqlite").unlink()
    Archive(finished / "archive.sqlite").close()
    with user_error("archive.sqlite", "holds nothing", "summary.json", "--restart"):
        RunDirectory.open(finished, GIVEN)


def test_a_run_is_set_aside_whole(finished, tmp_path):
    before = {path.name: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    (tmp_path / "run.1").mkdir()
    with RunDirectory.open(finished, GIVEN), user_error("in use by process"):
        set_aside(finished)
    assert set_aside(finished) == tmp_path / "run.2"
    assert not finished.exists()
    kept = {path.name: path.read_bytes() for path in (tmp_path / "run.2").iterdir() if path.is_file()}
    assert kept == {**before, "run.lock": kept["run.lock"]}
    with RunDirectory.open(finished, OTHER) as run:
        assert not run.resumed
    assert set_aside(tmp_path / "absent") is None
    (tmp_path / "thesis").mkdir()
    assert set_aside(tmp_path / "thesis") is None


@pytest.mark.parametrize("content", ["{}", '{"best": 0.', "[]", ""])
def test_a_damaged_summary_is_no_summary(finished, content):
    (finished / "summary.json").write_text(content)
    with open_for_reading(finished) as run, user_error("summary.json", "damaged", "give the command of the run again"):
        run.read_summary()
    with RunDirectory.open(finished, GIVEN) as run:
        assert run.remarks == ["summary.json was damaged: it is made again from the archive"]
        assert run.read_summary() is None


def test_lines_that_were_cut_are_written_again(finished):
    before = (finished / "metrics.jsonl").read_bytes()
    for cut in (lambda: (finished / "metrics.jsonl").write_bytes(b""), lambda: (finished / "metrics.jsonl").unlink()):
        cut()
        with RunDirectory.open(finished, GIVEN) as run:
            assert run.remarks == ["1 lines that metrics.jsonl lacked are written again from the archive"]
        assert (finished / "metrics.jsonl").read_bytes() == before
    shutil.rmtree(finished / "tensorboard")
    with RunDirectory.open(finished, GIVEN) as run:
        assert run.remarks == []


def test_leftovers_of_killed_writes_are_removed(finished):
    for name in ("report.html", "learned_schedule.py", "summary.json"):
        (finished / f".{name}.{32 * '0'}.tmp").write_text("half")
    RunDirectory.open(finished, GIVEN).close()
    assert [path.name for path in finished.iterdir() if path.name.startswith(".")] == []
