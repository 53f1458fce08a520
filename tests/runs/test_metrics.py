"""The metrics of a run: every step once, as lines and as events."""

import json
import math
import time

import numpy as np
import pytest

from jaxloss.runs import (
    MetricWriter,
    read_metrics,
)
from tests.errors import user_error


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
