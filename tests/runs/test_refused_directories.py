"""Directories that cannot hold a run, or hold something else, are refused in one line and left as they are."""

import contextlib
import os

import pytest

from jaxloss.runs import (
    RunDirectory,
    json_text,
    open_for_reading,
)
from tests.errors import user_error
from tests.runs.contents import CONFIG


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
    (tmp_path / "config.json").write_text('{"seed": 0}')
    with user_error("archive.sqlite"):
        open_for_reading(tmp_path)
    assert os.listdir(tmp_path) == ["config.json"]
