"""The command that writes the page of a run."""

import csv
import json

import pytest

from jaxloss import export
from jaxloss.core.errors import UserError
from jaxloss.report import __main__ as command
from jaxloss.report.page import write_report
from jaxloss.runs import RunDirectory
from jaxloss.runs.archive import CONFIG as STORED_CONFIG
from jaxloss.runs.archive import Archive
from jaxloss.runs.directory import open_for_reading
from jaxloss.runs.lock import Lock
from tests.report.finished_run import CONFIG, make_run, summary_of


class TestCommand:
    def test_writes_the_page_and_names_it(self, tmp_path, capsys):
        run = make_run(tmp_path / "run", mode="train")
        assert command.main([str(run)]) == 0
        assert capsys.readouterr().out.strip() == str(run / "report.html")
        assert (run / "report.html").is_file()

    @pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--wrong"], ["absent"]])
    def test_mistakes_are_one_line_and_exit_code_2(self, tmp_path, monkeypatch, capsys, arguments):
        monkeypatch.chdir(tmp_path)
        assert command.main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1

    def test_help(self, capsys):
        with pytest.raises(SystemExit, match="0"):
            command.main(["--help"])
        assert "WORKDIR" in capsys.readouterr().out

    def test_all_candidates_are_a_table(self, tmp_path, capsys):
        run, file = make_run(tmp_path / "run"), tmp_path / "candidates.csv"
        assert command.main([str(run), "--csv", str(file)]) == 0
        assert capsys.readouterr().out.strip() == str(file)
        with open_for_reading(run) as opened:
            rows = opened.archive.candidates()
        with file.open(newline="") as lines:
            written = list(csv.DictReader(lines))
        assert [row["formula"] for row in written] == [row.formula for row in rows]
        assert [row["score"] for row in written] == ["" if row.score is None else str(row.score) for row in rows]
        assert {row["training"] for row in written} == {"0", "1"}
        assert command.main([str(run), "--csv", str(tmp_path / "absent" / "file")]) == 2

    def test_follows_a_run_to_its_end(self, tmp_path, monkeypatch, capsys):
        """The page of an unfinished run renews itself; the last one does not."""
        run = make_run(tmp_path / "run", finished=False)
        pages = []

        def sleep(seconds):
            pages.append((seconds, (run / "report.html").read_text()))
            with RunDirectory.open(run, CONFIG) as opened:
                opened.write_summary(summary_of("search"))

        monkeypatch.setattr(command.time, "sleep", sleep)
        assert command.main([str(run), "--follow", "3"]) == 0
        ((seconds, page),) = pages
        assert seconds == 3.0
        assert '<meta http-equiv="refresh" content="3">' in page
        assert "http-equiv" not in (run / "report.html").read_text()
        assert command.main([str(run), "--follow", "0"]) == 2

    @pytest.mark.parametrize("further", [[], ["--terminal"]])
    def test_a_run_that_has_not_begun_is_waited_for(self, tmp_path, monkeypatch, capsys, further):
        path, slept = tmp_path / "run", []
        # As a run is found at any moment of its beginning: no directory, an empty one, one that is held, and all of it.
        stages = [path.mkdir, lambda: held.append(Lock(path / "run.lock")), (path / "archive.sqlite").touch]
        stages += [lambda: (held.pop().release(), make_run(path, mode="train"))]
        held = []

        def sleep(seconds):
            slept.append(seconds)
            stages.pop(0)()

        monkeypatch.setattr(command.time, "sleep", sleep)
        assert command.main([str(path), "--follow", *further]) == 0
        captured = capsys.readouterr()
        assert captured.err == f"no run has begun in '{path}' yet: waiting for it\n"
        assert len(slept) == 4
        assert ("finished" if further else "report.html") in captured.out

    def test_where_no_run_can_begin_none_is_waited_for(self, tmp_path, capsys):
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "notes.txt").touch()
        (tmp_path / "killed").mkdir()
        (tmp_path / "killed" / "config.json").write_text('{"mode": "search"}')
        (tmp_path / "file").touch()
        expected = {
            "absent/run": f"no run can be awaited in '{tmp_path / 'absent/run'}': there is no folder '{tmp_path / 'absent'}'",
            "other": "is not the directory of a run",
            "killed": "there is no archive",
            "file": "is not the directory of a run",
        }
        for name, says in expected.items():
            assert command.main([str(tmp_path / name), "--follow"]) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert says in line

    def test_a_page_that_cannot_be_written_is_the_users_error(self, tmp_path):
        run = make_run(tmp_path / "run", mode="train")
        (run / "report.html").mkdir()
        with pytest.raises(UserError, match=r"report\.html"):
            write_report(run)


class TestSummaries:
    """That are damaged, or of another version."""

    @staticmethod
    def change(run, change):
        path = run / "summary.json"
        summary = json.loads(path.read_text())
        change(summary)
        path.write_text(json.dumps(summary))

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda summary: summary.pop("task"), "has no 'task'"),
            (lambda summary: summary.pop("metric"), "lacks a key: 'dict object' has no attribute 'metric'"),
            (lambda summary: summary["comparison"][0].pop("tuned"), "has no 'tuned'"),
            (lambda summary: summary["comparison"][0]["tuned"].pop("learning_rate"), "has no attribute 'learning_rate'"),
        ],
    )
    def test_what_is_missing_is_named_in_one_line(self, tmp_path, capsys, change, says):
        run = make_run(tmp_path / "run", mode="train")
        self.change(run, change)
        assert command.main([str(run)]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: the summary of '{run}' ")
        assert says in error
        assert "give the command of the run again" in error
        assert error.count("\n") == 1

    @pytest.mark.parametrize("content", ["{}", "[1]", '{"task": "dig', ""])
    def test_what_is_no_summary_is_named_with_what_makes_it_again(self, tmp_path, capsys, content):
        run = make_run(tmp_path / "run", mode="train")
        (run / "summary.json").write_text(content)
        for module in (command, export):
            assert module.main([str(run)]) == 2
            error = capsys.readouterr().err
            assert f"'{run / 'summary.json'}' is damaged; give the command of the run again" in error
            assert error.count("\n") == 1

    FACTS = ("device", "machine", "jaxloss", "jax", "space", "command", "task_details", "seconds", "compilations")

    # A page is drawn in two seconds: where it is well without all of them, it is without one.
    @pytest.mark.parametrize("missing", [FACTS, *(pytest.param((name,), marks=pytest.mark.slow) for name in FACTS)])
    def test_a_fact_that_an_earlier_version_did_not_store_is_a_dash(self, tmp_path, missing):
        run = make_run(tmp_path / "run", mode="search")
        self.change(run, lambda summary: [summary.pop(name, None) for name in missing])
        assert command.main([str(run)]) == 0

    def test_only_the_metric_of_a_comparison_was_stored(self, tmp_path):
        run = make_run(tmp_path / "run", mode="search")
        self.change(run, lambda summary: [row["tuned"].pop("test_means", None) for row in summary["comparison"]])
        self.change(run, lambda summary: summary.update(also_shown=["mean_class_accuracy"]))
        assert command.main([str(run)]) == 0


def test_a_module_that_ends_python_is_named(tmp_path, monkeypatch, capsys):
    run = make_run(tmp_path / "run", mode="train")
    (tmp_path / "leaving.py").write_text("import sys\n\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Archive(run / "archive.sqlite") as archive:
        archive.commit(state={STORED_CONFIG: {**archive.state(STORED_CONFIG), "space": {"name": "leaving:space", "options": {}}}})
    assert command.main([str(run)]) == 0
    error = capsys.readouterr().err
    assert "losses are not drawn" in error
    assert "the module of the space 'leaving:space' raises SystemExit: 3" in error
    assert error.count("\n") == 1
