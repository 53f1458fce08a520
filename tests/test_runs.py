"""The run directory keeps everything, whatever happens to the process that writes it."""

import contextlib
import json
import logging
import math
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.runs import (
    Archive,
    CandidateRow,
    Checkpoints,
    MetricWriter,
    RunDirectory,
    TrainingRow,
    atomic,
    json_text,
    open_for_reading,
    read_metrics,
)

REPOSITORY = Path(__file__).parents[1]
CONFIG = {"search": {"name": "evolution", "num_trainings": 10, "rates": (0.1, 1e-3)}, "seed": 0}


def candidate(proposal, attempt=0, **changes):
    values = {
        "search": "evolution",
        "proposal": proposal,
        "branch": "*",
        "attempt": attempt,
        "formula": f"Add(y, {proposal})",
        "key": f"key{proposal}",
        "origin": "mutation",
        "parent": None,
        "reason": "accepted",
        "gain": 0.1 + 0.2,
        "signature": "1.0 2.0",
        "sketch": None,
        "score": 1 / 3,
        "training": True,
        "seconds": 0.5,
    }
    return CandidateRow(**{**values, **changes})


def training(**changes):
    values = {
        "stage": "search",
        "loss": "focal",
        "formula": None,
        "hyperparameters": {"gamma": 2.0, "alpha": 0.1 + 0.2},
        "learning_rate": 0.1,
        "seed": 3,
        "division": 0,
        "evaluated_on": "search_eval",
        "score": 0.7,
        "finite": True,
        "steps": 200,
        "seconds": 1.5,
    }
    return TrainingRow(**{**values, **changes})


@contextlib.contextmanager
def user_error(*parts):
    """Expects a UserError in one line that holds every part."""
    with pytest.raises(UserError) as caught:
        yield
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, f"{part!r} is not in {message!r}"


@contextlib.contextmanager
def process(code, *arguments):
    """A Python process that runs `code`; killed and waited for at the end. Its lines are read from `stdout`."""
    started = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        started.stdout.close()


# Files and JSON


def test_json_gives_every_float_back():
    values = [0.1 + 0.2, 5e-324, -0.0, math.inf, -math.inf, math.nan, 1e22]
    back = json_text.loads(json_text.dumps({"values": values, "array": np.float32([0.1]), "scalar": np.int64(7)}))
    assert np.array(back["values"]).tobytes() == np.array(values).tobytes()
    assert back["array"] == [float(np.float32(0.1))]
    assert back["scalar"] == 7
    with pytest.raises(TypeError, match="object"):
        json_text.dumps({"x": object()})


def test_atomic_write_replaces_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    atomic.write_text(path, "old")
    with pytest.raises(TypeError):
        atomic.write_json(path, {"x": object()})

    def fail(*_):
        raise OSError("killed before the new file took its place")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="killed"):
            atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]
    atomic.write_text(path, "Verlust \N{GREEK SMALL LETTER LAMDA}")
    assert path.read_text(encoding="utf-8") == "Verlust \N{GREEK SMALL LETTER LAMDA}"


# Archive


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


# Metrics


def test_a_torn_line_is_dropped_and_no_step_comes_twice(tmp_path):
    writer = MetricWriter(tmp_path)
    assert writer.last_step == -1
    assert writer.write(0, {"search/score": 0.1 + 0.2})
    assert writer.write(4, {"search/score": np.float32(0.5), "loss": math.nan})
    writer.close()
    with open(writer.path, "a") as file:
        file.write('{"step": 5, "wall_t')
    assert [line["step"] for line in read_metrics(tmp_path)] == [0, 4]
    writer = MetricWriter(tmp_path)
    assert writer.last_step == 4
    assert not writer.write(4, {"search/score": 9.0})
    assert writer.write(5, {"search/score": 1.0})
    with pytest.raises(ValueError, match="step"):
        writer.write(6, {"step": 1.0})
    writer.close()
    lines = [json.loads(line) for line in writer.path.read_text().splitlines()]
    assert [(line["step"], line["search/score"]) for line in lines] == [(0, 0.1 + 0.2), (4, 0.5), (5, 1.0)]
    assert math.isnan(lines[1]["loss"])
    assert all(abs(line["wall_time"] - time.time()) < 60 for line in lines)


def test_events_hold_the_metrics_and_a_resume_purges(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    def events():
        found = []
        for path in sorted((tmp_path / "tensorboard").iterdir(), key=lambda path: int(path.suffix[1:])):
            content, place = path.read_bytes(), 0
            while place < len(content):
                # A record is: length (8 bytes), its checksum (4), the event, its checksum (4).
                length = int.from_bytes(content[place : place + 8], "little")
                found.append(Event.FromString(content[place + 12 : place + 12 + length]))
                place += length + 16
        return found

    writer = MetricWriter(tmp_path)
    writer.write(3, {"score": 0.5, "loss": math.inf})
    # Not closed yet: what a killed process leaves.
    assert [(event.step, value.tag, value.simple_value) for event in events() for value in event.summary.value] == [
        (3, "score", 0.5)
    ]
    writer.close()
    writer = MetricWriter(tmp_path)
    writer.write(4, {"score": 0.75})
    writer.close()
    assert [event.step for event in events() if event.HasField("session_log")] == [0, 4]
    assert [event.step for event in events() if event.summary.value] == [3, 4]


def test_lines_that_are_no_metrics_are_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 0, "wall_time": 1.0}\nhello\n')
    with user_error("line 2", "metrics.jsonl"):
        MetricWriter(tmp_path)


# Checkpoints

Moments = namedtuple("Moments", ["mean", "count"])


def tree():
    return {
        "params": {"w": jnp.arange(6.0).reshape(2, 3), "half": jnp.ones((2,), jnp.bfloat16) / 3},
        "moments": Moments(mean=np.float64([1 / 3]), count=jnp.int32(7)),
        "pair": (jnp.zeros(()), 5),
        "key": jax.random.key(3),
    }


def assert_same(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)
        if hasattr(one, "dtype") and jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def test_checkpoints_round_trip(tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.names() == []
    with caplog.at_level(logging.INFO), caplog.at_level(logging.INFO, logger="absl"):
        checkpoints.save("network", tree())
        checkpoints.save("theta.1", [jnp.ones(2)])
        back = checkpoints.load("network", like=tree())
        assert logging.getLogger("absl").level == logging.INFO
    assert [record for record in caplog.records if record.name == "absl"] == []
    assert checkpoints.names() == ["network", "theta.1"]
    assert_same(back, tree())
    assert isinstance(back["params"]["w"], jax.Array)
    plain = checkpoints.load("network")
    assert type(plain["params"]["w"]) is np.ndarray
    assert plain["params"]["half"].dtype == jnp.bfloat16
    assert plain["moments"]["count"] == 7
    checkpoints.save("key", {"key": jax.random.key(3, impl="rbg")})
    abstract = checkpoints.load("key", like=jax.eval_shape(lambda: {"key": jax.random.key(0, impl="rbg")}))
    assert_same(abstract, {"key": jax.random.key(3, impl="rbg")})
    checkpoints.remove("key")
    checkpoints.remove("network")
    checkpoints.remove("network")
    assert Checkpoints(tmp_path / "checkpoints").names() == ["theta.1"]
    with user_error("network", "theta.1"):
        checkpoints.load("network")
    with pytest.raises(ValueError, match="name"):
        checkpoints.save("../network", tree())


def test_checkpoints_are_replaced_and_leftovers_are_nothing(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    # A process that was killed while it saved leaves orbax's temporary folder.
    (tmp_path / "x" / "2.orbax-checkpoint-tmp").mkdir(parents=True)
    assert checkpoints.names() == []
    checkpoints.save("x", {"a": jnp.zeros(3)})
    checkpoints.save("x", {"a": jnp.ones(4)})
    assert checkpoints.load("x")["a"].tolist() == [1.0] * 4
    assert len(os.listdir(tmp_path / "x")) == 1


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("x", {"a": {"w": jnp.zeros(3)}})
    with user_error("'x'", "a/w", "float32[3]", "float32[4]"):
        checkpoints.load("x", like={"a": {"w": jnp.zeros(4)}})
    with user_error("a/w", "float32[3]", "int32[3]"):
        checkpoints.load("x", like={"a": {"w": jnp.zeros(3, jnp.int32)}})
    with user_error("lacks", "a/b"):
        checkpoints.load("x", like={"a": {"w": jnp.zeros(3), "b": jnp.zeros(3)}})
    with user_error("has", "a/w"):
        checkpoints.load("x", like={"a": {}})
    (folder,) = (tmp_path / "x").iterdir()
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with user_error("'x'", "damaged"):
        checkpoints.load("x")


SAVES = """
import sys
import jax.numpy as jnp
from jaxloss.runs import Checkpoints
checkpoints = Checkpoints(sys.argv[1])
number = 0
while True:
    number += 1
    checkpoints.save("x", {"a": jnp.full((50_000,), number), "b": jnp.full((5,), number)})
    print(number, flush=True)
"""


def test_kill_while_saving_leaves_a_whole_checkpoint(tmp_path):
    with process(SAVES, tmp_path) as writer:
        acknowledged = [int(writer.stdout.readline()) for _ in range(3)][-1]
        time.sleep(0.03)
        writer.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, re.findall(r"(\d+)\n", writer.stdout.read()))])
    loaded = Checkpoints(tmp_path).load("x")
    assert loaded["b"][0] in (acknowledged, acknowledged + 1)
    assert set(loaded["a"].tolist()) == set(loaded["b"].tolist())
    assert len(loaded["a"]) == 50_000


# Directory


def test_a_run_is_made_read_and_resumed(tmp_path):
    path = tmp_path / "deep" / "run"
    with RunDirectory.open(path, CONFIG, may_change=()) as run:
        assert not run.resumed
        run.archive.commit([candidate(0)], state={"next": 1})
        run.metrics.write(0, {"score": 0.5})
        run.checkpoints.save("x", {"a": jnp.zeros(1)})
        assert run.read_summary() is None
        run.write_summary({"best": 0.1 + 0.2})
        with open_for_reading(path) as reader:
            # A report may be made while the run goes on.
            assert reader.archive.candidates() == [candidate(0)]
    with RunDirectory.open(path, CONFIG, may_change=()) as run:
        assert run.resumed
        assert run.archive.state("next") == 1
        assert run.metrics.last_step == 0
        run.write_summary({"best": 0.5})
    with open_for_reading(path) as reader:
        assert reader.config == {"search": {"name": "evolution", "num_trainings": 10, "rates": [0.1, 0.001]}, "seed": 0}
        assert reader.read_summary() == {"best": 0.5}
        assert reader.checkpoints.names() == ["x"]
        assert [line["score"] for line in reader.read_metrics()] == [0.5]
    expected = {"config.json", "archive.sqlite", "metrics.jsonl", "tensorboard", "checkpoints", "summary.json", "run.lock"}
    assert set(os.listdir(path)) == expected


def changed(**keys):
    return {**CONFIG, "search": {**CONFIG["search"], **keys.pop("search", {})}, **keys}


def begin(path, config):
    """A run that has something in its archive: from then on its config is fixed."""
    with RunDirectory.open(path, config) as run:
        run.archive.commit(candidates=[candidate(0)])


def test_a_run_that_has_done_nothing_takes_a_corrected_config(tmp_path):
    RunDirectory.open(tmp_path, CONFIG).close()
    RunDirectory.open(tmp_path, changed(seed=7)).close()
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 7


def test_the_first_forbidden_difference_is_named(tmp_path):
    begin(tmp_path, CONFIG)
    before = (tmp_path / "config.json").read_bytes()
    other = changed(seed=7, search={"name": "random_search", "num_trainings": 20})
    with user_error("search.name", '"evolution"', '"random_search"', "--workdir", str(tmp_path)):
        RunDirectory.open(tmp_path, other, may_change=("search.num_trainings",))
    with user_error("seed = 0", "not 7"):
        RunDirectory.open(tmp_path, other, may_change=("search",))
    with user_error("seed", "1.0", "put back seed = 0"):
        RunDirectory.open(tmp_path, changed(seed=1.0))
    with user_error("extra", "(not set)", "leave extra out"):
        RunDirectory.open(tmp_path, changed(extra=[1]))
    with user_error("seed = 0", "(not set)"):
        RunDirectory.open(tmp_path, {"search": CONFIG["search"]})
    with user_error("search.num_trainings"):
        # A key that may change is a whole key, not the beginning of one.
        RunDirectory.open(tmp_path, changed(search={"num_trainings": 20}), may_change=("search.num", "sea"))
    assert (tmp_path / "config.json").read_bytes() == before
    RunDirectory.open(tmp_path, CONFIG).close()


def test_nan_and_tuples_in_a_config_equal_themselves(tmp_path):
    config = {"threshold": math.nan, "sizes": (1, 2), "empty": {}, "rate": np.float32(0.1)}
    begin(tmp_path, config)
    with RunDirectory.open(tmp_path, config) as run:
        assert run.resumed
    with user_error("empty"):
        RunDirectory.open(tmp_path, {**config, "empty": {"x": 1}})


def test_allowed_differences_are_stored_and_the_old_values_kept(tmp_path):
    begin(tmp_path, changed(search={"num_trainings": 10}))
    for number in (10, 20, 30):
        with RunDirectory.open(tmp_path, changed(search={"num_trainings": number}), may_change=["search.num_trainings"]) as run:
            assert run.config["search"]["num_trainings"] == number
    with open_for_reading(tmp_path) as reader:
        assert reader.config["search"]["num_trainings"] == 30
    history = json.loads((tmp_path / "config_history.json").read_text())
    assert [(entry["key"], entry["was"], entry["now"]) for entry in history] == [
        ("search.num_trainings", 10, 20),
        ("search.num_trainings", 20, 30),
    ]


HOLDS = """
import sys, time
from jaxloss.runs import RunDirectory
run = RunDirectory.open(sys.argv[1], {})
print("open", flush=True)
time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    with process(HOLDS, tmp_path) as holder:
        assert holder.stdout.readline() == "open\n"
        with user_error("in use", f"process {holder.pid}", str(tmp_path)):
            RunDirectory.open(tmp_path, {})
        open_for_reading(tmp_path).close()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with RunDirectory.open(tmp_path, {}), user_error("in use", f"process {os.getpid()}"):
            RunDirectory.open(tmp_path, {})
    RunDirectory.open(tmp_path, {}).close()


FORKS = """
import os, sys, time
from jaxloss.runs import RunDirectory
run = RunDirectory.open(sys.argv[1], {})
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(60)
"""


def test_a_forked_worker_does_not_keep_the_lock(tmp_path):
    with process(FORKS, tmp_path) as parent:
        child = int(parent.stdout.readline())
        try:
            time.sleep(0.2)
            with user_error("in use", f"process {parent.pid}"):
                RunDirectory.open(tmp_path, {})
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            os.kill(child, 0)  # The worker lives on.
            RunDirectory.open(tmp_path, {}).close()
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_refused_open_gives_the_lock_back(tmp_path):
    RunDirectory.open(tmp_path, {}).close()
    (tmp_path / "archive.sqlite").write_bytes(b"damaged " * 1000)
    with user_error("archive.sqlite"):
        RunDirectory.open(tmp_path, {})
    (tmp_path / "archive.sqlite").unlink()
    # Metrics without an archive are half a run: it is not begun over them.
    with user_error("metrics.jsonl", "archive.sqlite"):
        RunDirectory.open(tmp_path, {})
    (tmp_path / "metrics.jsonl").unlink()
    shutil.rmtree(tmp_path / "tensorboard")
    RunDirectory.open(tmp_path, {}).close()


def test_impossible_directories_are_refused_in_one_line(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("mine")
    with user_error(str(file), "is a file", "--workdir"):
        RunDirectory.open(file, CONFIG)
    with user_error(str(file / "run"), "Not a directory"):
        RunDirectory.open(file / "run", CONFIG)
    with user_error("--workdir"):
        RunDirectory.open("", CONFIG)
    with pytest.raises(TypeError):
        RunDirectory.open(tmp_path / "new", {"x": object()})

    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(os, "mkdir", read_only)
        with user_error("Read-only file system", "new"):
            RunDirectory.open(tmp_path / "new", CONFIG)
    assert os.listdir(tmp_path) == ["file"]
    assert file.read_text() == "mine"


@contextlib.contextmanager
def without_root():
    """Root may write everywhere: for a while be somebody who may not."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_forbidden_directory_is_refused(tmp_path):
    (tmp_path / "seen").mkdir()
    RunDirectory.open(tmp_path / "seen", CONFIG).close()
    tmp_path.chmod(0o000)
    try:
        with without_root():
            for path in (tmp_path, tmp_path / "new", tmp_path / "seen"):
                with user_error("Permission denied", str(path), "--workdir"):
                    RunDirectory.open(path, CONFIG)
                with user_error("Permission denied", str(path)):
                    open_for_reading(path)
    finally:
        tmp_path.chmod(0o700)


def test_directories_with_other_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with user_error("thesis.tex", "archive.sqlite", "--workdir"):
        RunDirectory.open(tmp_path, CONFIG)
    assert os.listdir(tmp_path) == ["thesis.tex"]
    (tmp_path / "config.json").write_text(json_text.dumps(CONFIG))
    with user_error("thesis.tex", "archive.sqlite", "--workdir"):
        RunDirectory.open(tmp_path, CONFIG)


@pytest.mark.parametrize("others", [(), ("model.bin",), ("summary.json",)])
def test_a_config_of_another_program_is_left_alone(tmp_path, others):
    for name in ("config.json", *others):
        (tmp_path / name).write_text('{"architectures": ["Net"], "task": "fill"}')
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with user_error("config.json", "is not the config of a run", "'search'", "--workdir"):
        RunDirectory.open(tmp_path, {**CONFIG, "task": {}})
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "left",
    [
        ("run.lock", ".config.json.0123.tmp"),
        ("run.lock", "config.json"),
        ("run.lock", "config.json", "archive.sqlite"),
        ("run.lock", "config.json", "archive.sqlite", "archive.sqlite-journal"),
    ],
)
def test_what_a_run_leaves_that_was_killed_as_it_began_is_its_own(tmp_path, left):
    contents = {"config.json": json_text.dumps(CONFIG), ".config.json.0123.tmp": '{"se', "run.lock": "1 on host\n"}
    for name in left:
        (tmp_path / name).write_text(contents.get(name, ""))
    with RunDirectory.open(tmp_path, changed(seed=7)) as run:
        assert run.config["seed"] == 7
    assert not (tmp_path / ".config.json.0123.tmp").exists()


def test_reading_what_is_no_run_is_refused(tmp_path):
    with user_error(str(tmp_path), "config.json"):
        open_for_reading(tmp_path)
    with user_error("missing"):
        open_for_reading(tmp_path / "missing")
    (tmp_path / "config.json").write_text("[1, 2]")
    with user_error("config.json", "damaged"):
        open_for_reading(tmp_path)
    with user_error("config.json", "damaged"):
        RunDirectory.open(tmp_path, CONFIG)
    (tmp_path / "config.json").write_text("{}")
    with user_error("archive.sqlite"):
        open_for_reading(tmp_path)
    assert os.listdir(tmp_path) == ["config.json"]
