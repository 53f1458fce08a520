"""The command that writes the page of a run."""

import pytest

from jaxloss.core.errors import UserError
from jaxloss.report import __main__ as command
from jaxloss.report.page import write_report
from tests.report.finished_run import make_run


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
        assert command.main(["--help"]) == 0
        assert "WORKDIR" in capsys.readouterr().out

    def test_a_page_that_cannot_be_written_is_the_users_error(self, tmp_path):
        run = make_run(tmp_path / "run", mode="train")
        (run / "report.html").mkdir()
        with pytest.raises(UserError, match=r"report\.html"):
            write_report(run)
