"""The metrics of a run: every step once, as lines and as events."""

import json
import math
import shutil
import time

import numpy as np
import pytest

from jaxloss.runs import (
    MetricWriter,
    read_metrics,
)
from jaxloss.runs.metrics import metric_line
from tests.errors import user_error


def events(directory):
    """What the event files of a run hold, in the order in which they were begun."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted((directory / "tensorboard").iterdir(), key=lambda path: (path.stat().st_ctime_ns, path.name)):
        content, place = path.read_bytes(), 0
        while place < len(content):
            # A record is: length (8 bytes), its checksum (4), the event, its checksum (4).
            length = int.from_bytes(content[place : place + 8], "little")
            found.append(Event.FromString(content[place + 12 : place + 12 + length]))
            place += length + 16
    return found


def write(writer, step, values):
    return writer.write(metric_line(step, values))


def test_a_torn_line_is_dropped_and_no_step_comes_twice(tmp_path):
    writer = MetricWriter(tmp_path)
    assert writer.last_step == -1
    assert write(writer, 0, {"search/score": 0.1 + 0.2})
    assert write(writer, 4, {"search/score": np.float32(0.5), "loss": math.nan})
    writer.close()
    with open(writer.path, "a") as file:
        file.write('{"step": 5, "wall_t')
    assert [line["step"] for line in read_metrics(tmp_path)] == [0, 4]
    writer = MetricWriter(tmp_path)
    assert writer.last_step == 4
    assert not write(writer, 4, {"search/score": 9.0})
    assert write(writer, 5, {"search/score": 1.0})
    with pytest.raises(ValueError, match="step"):
        write(writer, 6, {"step": 1.0})
    writer.close()
    lines = [json.loads(line) for line in writer.path.read_text().splitlines()]
    assert [(line["step"], line["search/score"]) for line in lines] == [(0, 0.1 + 0.2), (4, 0.5), (5, 1.0)]
    assert math.isnan(lines[1]["loss"])
    assert all(abs(line["wall_time"] - time.time()) < 60 for line in lines)


def test_events_hold_the_metrics_and_a_resume_purges(tmp_path):
    writer = MetricWriter(tmp_path)
    write(writer, 3, {"score": 0.5, "loss": math.inf})
    # Not closed yet: what a killed process leaves.
    assert [(event.step, value.tag, value.simple_value) for event in events(tmp_path) for value in event.summary.value] == [
        (3, "score", 0.5)
    ]
    writer.close()
    writer = MetricWriter(tmp_path)
    write(writer, 4, {"score": 0.75})
    writer.close()
    assert [event.step for event in events(tmp_path) if event.HasField("session_log")] == [0, 4]
    assert [event.step for event in events(tmp_path) if event.summary.value] == [3, 4]


def test_lines_that_are_no_metrics_are_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 0, "wall_time": 1.0}\nhello\n')
    with user_error("line 2", "metrics.jsonl"):
        MetricWriter(tmp_path)


def test_what_the_file_has_lost_is_made_again_from_what_is_stored(tmp_path):
    stored = [metric_line(step, {"score": step / 3, "spread": math.nan}) for step in (1, 2, 5, 7)]
    writer = MetricWriter(tmp_path)
    for line in stored:
        writer.write(line)
    writer.close()
    path = tmp_path / "metrics.jsonl"
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    for left in (lines[:2], lines[1:], [lines[0], lines[3]], [], [*lines[:3], lines[3][:9]]):
        path.write_text("".join(left))
        writer = MetricWriter(tmp_path, stored)
        assert path.read_text() == whole
        assert writer.last_step == 7
        assert writer.num_restored == 4 - sum(line in lines for line in left)
        writer.close()
    path.unlink()
    MetricWriter(tmp_path, stored).close()
    assert path.read_text() == whole
    # Events of what was lost are written again, behind the mark that hides what there was.
    path.write_text(lines[0])
    shutil.rmtree(tmp_path / "tensorboard")
    MetricWriter(tmp_path, stored).close()
    assert [event.step for event in events(tmp_path) if event.HasField("session_log")] == [2]
    assert [event.step for event in events(tmp_path) if event.summary.value] == [2, 5, 7]


def test_lines_of_an_earlier_version_stay_beside_those_that_are_stored(tmp_path):
    writer = MetricWriter(tmp_path)
    for step in (0, 1):
        write(writer, step, {"score": 0.5})
    writer.close()
    writer = MetricWriter(tmp_path, [metric_line(2, {"score": 0.75})])
    writer.close()
    assert [line["step"] for line in read_metrics(tmp_path)] == [0, 1, 2]


def test_a_full_disk_asks_for_room(tmp_path):
    writer = MetricWriter(tmp_path)
    writer.path.unlink()
    writer.path.symlink_to("/dev/full")
    with user_error("metrics.jsonl", "No space left", "make room on the disk and give the same command again"):
        write(writer, 0, {"score": 0.5})
    writer.close()
