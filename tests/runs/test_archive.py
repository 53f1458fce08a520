"""The archive keeps every row and state as it was, whatever happens to the process that writes it."""

import contextlib
import math
import re
import signal
import sqlite3
import time

import numpy as np
import pytest

from jaxloss.runs import (
    Archive,
    CandidateRow,
    TrainingRow,
    json_text,
)
from jaxloss.runs.archive import CONFIG
from jaxloss.runs.metrics import metric_line
from tests.errors import user_error
from tests.runs.contents import candidate, training
from tests.runs.processes import process


def test_rows_and_state_round_trip(tmp_path):
    rows = [
        candidate(0),
        candidate(1, parent=0, gain=math.nan, score=None, training=False, reason="no_metric_gain"),
        candidate(1, 1),
    ]
    trainings = [training(), training(score=math.nan), training(stage="test", score=np.float32(0.25), seed=np.int64(4))]
    trainings[1] = training(score=math.nan, seed=9)
    state = {"search": {"population": [1, 2], "best": 0.1 + 0.2, "worst": -math.inf}, "counts": {"trained": 3}}
    with Archive(tmp_path / "a.sqlite") as archive:
        archive.commit(rows, trainings, state)
        archive.commit(state={"counts": {"trained": 4}})
    with Archive(tmp_path / "a.sqlite", read_only=True) as archive:
        assert archive.candidates() == rows
        assert archive.candidates(search="evolution", reason="no_metric_gain") == [rows[1]]
        assert archive.candidates(search="random_search") == []
        assert archive.trainings() == trainings
        assert archive.trainings(stage="test") == [trainings[2]]
        assert archive.state("search") == state["search"]
        assert archive.state("counts") == {"trained": 4}
        assert archive.state("other", default=5) == 5
        with user_error("readonly"):
            archive.commit([candidate(7)])
    assert rows[1].gain is None
    assert (trainings[1].score, trainings[1].finite) == (None, False)
    assert type(trainings[2].score) is float
    assert type(trainings[2].seed) is int


def test_rows_refuse_what_would_change_on_the_way():
    with pytest.raises(TypeError, match="text"):
        candidate(0, reason=7)
    with pytest.raises(TypeError):
        candidate(0.5)


def test_find_training_asks_for_every_part_of_the_key(tmp_path):
    with Archive(tmp_path / "a.sqlite") as archive:
        archive.commit(trainings=[training(), training(hyperparameters={}, score=0.2)])
        key = {name: getattr(training(), name) for name in TrainingRow.PRIMARY_KEY}
        assert archive.find_training(**key) == training()
        assert archive.find_training(**{**key, "hyperparameters": {"alpha": 0.1 + 0.2, "gamma": 2.0}}) == training()
        assert archive.find_training(**{**key, "hyperparameters": {}}).score == 0.2
        others = {"stage": "tune", "loss": "dice", "learning_rate": 0.2, "seed": 0, "division": 1, "evaluated_on": "test"}
        for name, other in {**others, "hyperparameters": {"gamma": 1.0}}.items():
            assert archive.find_training(**{**key, name: other}) is None, name


def test_what_was_stopped_is_read_page_by_page(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxloss.runs.archive._PAGE", 3)
    with Archive(tmp_path / "a.sqlite") as archive:
        archive.commit([candidate(n, branch="left", reason="no_gain", sketch=f"s{n}", attempt=0) for n in range(7)])
        archive.commit([candidate(n, attempt=1) for n in range(7)])
        archive.commit([candidate(8, branch="right", search="random_search"), candidate(9, branch="right")])
        stopped = [("left", "no_gain", f"s{n}") for n in range(7)]
        assert list(archive.stopped("evolution")) == [*stopped, ("right", "accepted", None)]
        assert list(archive.stopped("none")) == []
        assert archive.candidates("evolution", branch="*") == [candidate(n, attempt=1) for n in range(7)]
        assert archive.candidates(branch="right") == [candidate(8, branch="right", search="random_search"),
                                                      candidate(9, branch="right")]  # fmt: skip


def test_to_know_whether_a_run_has_begun_no_row_is_read(tmp_path, monkeypatch):
    """There may be a million of them."""
    with Archive(tmp_path / "a.sqlite") as archive:
        assert archive.is_empty()
        assert not archive.has_begun()
        archive.commit(trainings=[training(stage="baseline")])
        assert not archive.is_empty()
        assert not archive.has_begun()
        archive.commit([candidate(0)])
        monkeypatch.setattr(CandidateRow, "from_sql", None)
        monkeypatch.setattr(TrainingRow, "from_sql", None)
        assert archive.has_begun()
        assert not archive.is_empty()


def test_a_commit_is_all_or_nothing(tmp_path):
    with Archive(tmp_path / "a.sqlite") as archive:
        archive.commit([candidate(0)], [training()], {"done": 1})
        with pytest.raises(sqlite3.IntegrityError):
            archive.commit([candidate(1), candidate(0)], [training(seed=8)], {"done": 2})
        with pytest.raises(sqlite3.IntegrityError):
            archive.commit([candidate(2)], [training()], {"done": 3})
        with pytest.raises(TypeError):
            archive.commit([candidate(3)], state={"done": object()})
        assert (archive.candidates(), archive.trainings(), archive.state("done")) == ([candidate(0)], [training()], 1)
        archive.commit([candidate(1)], state={"done": 2})
        assert archive.state("done") == 2
        archive.every_commit = lambda: {"clock": {"seconds": 3.0}}
        archive.commit(state={"done": 3})
        assert (archive.state("done"), archive.state("clock")) == (3, {"seconds": 3.0})


def test_digest_ignores_clocks_and_nothing_else(tmp_path):
    def digest(name, commits, **options):
        with Archive(tmp_path / name) as archive:
            for commit in commits:
                archive.commit(**commit)
            return archive.content_digest(**options)

    first = digest("first", [{"candidates": [candidate(0), candidate(1)], "state": {"s": {"n": 2, "seconds": 1.0}}}])
    slower = [candidate(1, seconds=9.0)], [candidate(0, seconds=8.0)]
    in_two = [{"candidates": rows, "state": {"s": {"n": 2, "seconds": 7.0}}} for rows in slower]
    assert digest("second", in_two) == first
    assert digest("third", in_two, ignore=()) != first
    assert digest("fourth", [*in_two, {"state": {"s": {"n": 3}}}]) != first
    assert digest("fifth", [*in_two, {"trainings": [training()]}]) != first
    assert digest("sixth", [{"candidates": [candidate(0), candidate(1, score=0.3)], "state": {"s": {"n": 2}}}]) != first


def test_foreign_damaged_and_newer_files_are_refused(tmp_path):
    path = tmp_path / "a.sqlite"
    with user_error("no archive", str(path)):
        Archive(path, read_only=True)
    path.write_text("this is no database, and long enough to be taken for a header " * 20)
    with user_error(str(path), "not a database"):
        Archive(path)
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE candidates (x)")
    with user_error(str(path), "no archive of jaxloss"):
        Archive(path)
    path.unlink()
    with Archive(path) as archive:
        archive.commit([candidate(index) for index in range(500)])
    content = bytearray(path.read_bytes())
    content[8192:-4096] = bytes(len(content) - 12288)
    path.write_bytes(content)
    with user_error(str(path), "restore"):
        Archive(path)
    path.unlink()
    Archive(path).close()
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    with user_error("format 99"):
        Archive(path, read_only=True)
    path.write_bytes(b"")
    with user_error(str(path), "is empty", "give the command of the run again"):
        Archive(path, read_only=True)


def test_a_full_disk_asks_for_room_and_loses_nothing(tmp_path, monkeypatch):
    """SQLite keeps a file below a size: what it does beyond that is what it does on a full disk."""
    connections = []

    def connect(*arguments, original=sqlite3.connect, **options):
        connections.append(original(*arguments, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", connect)
    with Archive(tmp_path / "a.sqlite") as archive:
        archive.commit([candidate(0)], metrics=[metric_line(1, {"score": 0.5})])
        connections[0].execute("PRAGMA max_page_count = 1")
        with user_error("a.sqlite", "full", "make room on the disk and give the same command again"):
            archive.commit([candidate(number) for number in range(1, 500)], metrics=[metric_line(2, {"score": 0.5})])
        assert archive.candidates() == [candidate(0)]
        connections[0].execute("PRAGMA max_page_count = 1000000")
        archive.commit([candidate(number) for number in range(1, 500)])
        assert [line["step"] for line in archive.metrics()] == [1]


def test_a_busy_archive_asks_for_patience(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxloss.runs.archive._BUSY_SECONDS", 0.01)
    with Archive(tmp_path / "a.sqlite") as archive, contextlib.closing(sqlite3.connect(tmp_path / "a.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with user_error("locked", "another process holds it"):
            archive.commit([candidate(0)])


def test_lines_are_kept_as_they_are_and_change_nothing_else(tmp_path):
    lines = [metric_line(step, {"score": 0.1 + 0.2, "spread": math.nan}) for step in (3, 1)]
    with Archive(tmp_path / "a.sqlite") as archive:
        archive.commit([candidate(0)])
        before = archive.comparable(ignore=())
        archive.commit(metrics=lines)
        archive.commit(metrics=[metric_line(1, {"score": 9.0})])
        archive.commit(state={CONFIG: {"seed": 1}})
        assert [json_text.dumps(line) for line in archive.metrics()] == [json_text.dumps(line) for line in lines[::-1]]
        assert archive.comparable(ignore=()) == before
        assert archive.state(CONFIG) == {"seed": 1}


COMMITS = """
import itertools, sys
from jaxloss.runs import Archive, CandidateRow
archive = Archive(sys.argv[1])
for number in itertools.count(archive.state("done", 0)):
    rows = [CandidateRow(search="s", proposal=number, branch="*", attempt=attempt, formula="y", key="k", origin="random",
                         reason="accepted", seconds=0.0) for attempt in range(40)]
    archive.commit(rows, state={"done": number + 1})
    print(number + 1, flush=True)
"""


def test_kill_keeps_every_acknowledged_commit_and_no_half(tmp_path):
    acknowledged = 0
    for commits in (3, 8, 17):
        with process(COMMITS, tmp_path / "a.sqlite") as writer:
            for _ in range(commits):
                acknowledged = int(writer.stdout.readline())
            time.sleep(0.001 * commits)
            writer.send_signal(signal.SIGKILL)
            assert writer.wait() == -signal.SIGKILL
            acknowledged = max([acknowledged, *map(int, re.findall(r"(\d+)\n", writer.stdout.read()))])
        with Archive(tmp_path / "a.sqlite", read_only=True) as archive:
            done = archive.state("done")
            assert done in (acknowledged, acknowledged + 1)
            assert [(row.proposal, row.attempt) for row in archive.candidates()] == [
                (n, a) for n in range(done) for a in range(40)
            ]
    assert acknowledged >= 28


def test_a_reader_rolls_back_what_a_killed_writer_left(tmp_path):
    (tmp_path / "copy").mkdir()
    with Archive(tmp_path / "a.sqlite") as archive:
        archive.commit([candidate(0)], state={"done": 1})
        with contextlib.closing(sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)) as writer:
            # So small a cache brings half a transaction to the disk.
            writer.execute("PRAGMA cache_size = 1")
            writer.execute("BEGIN")
            writer.execute("UPDATE state SET json = '2'")
            writer.executemany(
                f"INSERT INTO candidates VALUES ({', '.join('?' * 15)})", [candidate(n).to_sql() for n in range(1, 500)]
            )
            for name in ("a.sqlite", "a.sqlite-journal"):
                (tmp_path / "copy" / name).write_bytes((tmp_path / name).read_bytes())
            assert (tmp_path / "copy" / "a.sqlite").stat().st_size > 60_000
            writer.execute("ROLLBACK")
    with Archive(tmp_path / "copy" / "a.sqlite", read_only=True) as archive:
        assert archive.candidates() == [candidate(0)]
        assert archive.state("done") == 1
