"""The campaigns of reliability: which events they see, and that they compare what they say."""

import json

import pytest

from experiments.reliability import disk, scale, text_checks
from experiments.reliability.__main__ import content, missing
from experiments.reliability.graphs import read_rows, summary
from jaxloss.core.errors import UserError
from jaxloss.graphs.graph import Graph, Node
from jaxloss.runs import Archive, RunDirectory
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


# --- graphs ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["autoloss_zero", "autoloss_gms", "cse_autoloss published"])
def test_losses_come_back_from_text_and_program(name):
    digest, wrong = text_checks.check_texts(name, 0, 0, 60)
    assert wrong == []
    assert text_checks.check_texts(name, 0, 0, 60)[0] == digest
    assert text_checks.check_texts(name, 0, 1, 60)[0] != digest


def test_a_program_that_is_decoded_wrongly_is_found(monkeypatch):
    monkeypatch.setattr(text_checks, "decode", lambda program, layout: Graph((Node(layout.inputs[0]),)))
    _, wrong = text_checks.check_texts("autoloss_zero", 0, 0, 9)
    assert any("decoded it has another key" in problem for problem in wrong)


def test_what_two_processes_find_is_compared(tmp_path):
    rows = [{"chunk": n, "space": "s", "losses": 5, "wrong": [], "digest": f"d{n}", "mebibytes": 100 + n} for n in range(4)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"chunk": 4, "sp')
    assert read_rows(path) == rows
    assert path.read_text().count("\n") == 4
    found = summary("texts", {1: rows, 2: [rows[0], {**rows[1], "digest": "other", "wrong": ["it differs"]}]})
    assert (found["losses"], found["in_both_processes"], found["wrong"]) == (20, 10, 1)
    assert found["chunks_that_differ_between_processes"] == [1]
    assert found["memory"][0] == {"at_a_quarter": 101, "at_the_end": 103, "chunks": 4}


# --- scale and disk ----------------------------------------------------------------------------------------------------------


def test_an_archive_is_built_as_large_as_it_is_asked_for(tmp_path):
    built = scale.build(tmp_path / "run", 150)
    with Archive(tmp_path / "run" / "archive.sqlite", read_only=True) as archive:
        assert len(archive.candidates()) == 150
        assert len(list(archive.stopped("evolution"))) == 144
        assert archive.state("evolution")["counts"]["trained"] == len(archive.trainings()) == 6
    assert built["archive_bytes"] == (tmp_path / "run" / "archive.sqlite").stat().st_size


def test_what_is_no_single_line_is_wrong(tmp_path, monkeypatch):
    def stores(error):
        def store(path):
            raise error

        monkeypatch.setattr(disk, "store", store)
        return disk.try_to_store(tmp_path)

    assert stores(UserError("make room on the disk")) == "make room on the disk"
    assert stores(UserError("a\nb")).startswith("WRONG: more than a line")
    assert stores(OSError(28, "No space left")) == "WRONG: OSError: [Errno 28] No space left"
    assert disk.judged("WRONG: so", "", tmp_path, {}) == "WRONG: so"
    assert disk.judged("permission denied", "make room on the disk", tmp_path, {}) == "permission denied"
