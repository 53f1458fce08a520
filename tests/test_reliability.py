"""The campaign of kills: which events it sees, and that it compares what it says."""

import json

from experiments.reliability.__main__ import content, missing
from jaxloss.runs import RunDirectory
from jaxloss.runs.metrics import metric_line
from tests.runs.contents import CONFIG, candidate
from tests.runs.processes import process

WRITES = """
import sys
from pathlib import Path
from experiments.reliability.events import watch

watch(Path(sys.argv[1]), lambda event: print(event, flush=True))
from jaxloss.runs import Archive, atomic

path = Path(sys.argv[1])
with Archive(path / "archive.sqlite") as archive:
    archive.commit(state={"done": 1})
atomic.write_text(path / "report.html", "page")
(path / "round_17").mkdir()
(path.parent / "elsewhere").mkdir()
Path(sys.argv[1] + ".log").write_text("beside it")
(path / "report.html").read_text()
"""


def test_what_changes_a_file_of_the_work_directory_is_an_event(tmp_path):
    (tmp_path / "run").mkdir()
    with process(WRITES, tmp_path / "run") as writer:
        assert writer.stdout.read().splitlines() == [
            *2 * ["commit", "committed"],
            "open .report.html.#.tmp",
            "rename report.html",
            "remove .report.html.#.tmp",
            "mkdir round_#",
        ]


def finished(path, score):
    with RunDirectory.open(path, CONFIG) as run:
        line = metric_line(1, {"score": score})
        run.archive.commit([candidate(0, score=score)], metrics=[line], state={"clock": {"seconds": score}})
        run.metrics.write(line)
        run.write_summary({"best": {"test_mean": score}, "seconds": {"total": score}})
    return content(path)


def test_every_part_of_a_run_is_compared(tmp_path):
    whole = finished(tmp_path / "whole", 0.5)
    assert finished(tmp_path / "same", 0.5) == whole
    other = finished(tmp_path / "other", 0.25)
    assert {part for part in whole if other[part] != whole[part]} == {"rows", "best", "summary", "curves"}
    (tmp_path / "same" / "left.tmp").write_text("")
    left = content(tmp_path / "same")
    assert [part for part in whole if left[part] != whole[part]] == ["files"]
    assert json.loads(whole["config"])["seed"] == 0


def test_a_kind_of_event_is_missing_until_a_run_was_killed_at_it():
    events = ["open a", "commit", "open a", "rename b"]
    assert missing("train", events, []) == ["open a", "commit", "rename b"]
    rows = [{"mode": "train", "kills": ["commit"]}, {"mode": "search", "kills": ["open a"]}]
    assert missing("train", events, rows) == ["open a", "rename b"]
    assert missing("train", events, [*rows, {"mode": "train", "kills": []}]) == []
