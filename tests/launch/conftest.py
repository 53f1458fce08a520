"""Every test runs in the repository, and what is refused says so in one line and leaves nothing behind."""

from pathlib import Path

import pytest

from tests.launch.command import REPOSITORY, TINY, run


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.delenv("JAXLOSS_DATA_DIR", raising=False)


@pytest.fixture
def refused(tmp_path, capsys):
    """Runs with overrides that are wrong; returns the one line."""

    def call(*overrides, config=TINY, workdir=None):
        workdir = tmp_path / "run" if workdir is None else workdir
        assert run(workdir, *overrides, config=config) == 2
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("error: ")
        assert captured.out == ""
        assert not Path(workdir).exists() or Path(workdir).is_file()
        return lines[0]

    return call
