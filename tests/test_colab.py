"""Badges for Colab: written from one address, and taken back without it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ADDRESS = "https://github.com/somebody/losses"


@pytest.fixture
def checkout(tmp_path):
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "notebooks").mkdir()
    for path in (ROOT / "notebooks").glob("*.py"):
        shutil.copy(path, tmp_path / "notebooks")
    return tmp_path


def give(checkout, address):
    """Fills the address in where the project's own file says so; None takes it out."""
    lines = "# [project.urls]\n# Repository = 0" if address is None else f'[project.urls]\nRepository = "{address}"'
    text = (ROOT / "pyproject.toml").read_text()
    filled, number = re.subn(r"^(?:# )?\[project\.urls\]\n(?:# )?Repository = .*$", lines, text, flags=re.MULTILINE)
    assert number == 1
    (checkout / "pyproject.toml").write_text(filled)


def write(checkout):
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "colab.py"), str(checkout)], capture_output=True, text=True, check=False
    )


def texts(checkout):
    return {path.name: path.read_text() for path in (checkout / "README.md", *sorted((checkout / "notebooks").glob("*.py")))}


def test_what_is_here_follows_from_the_address(checkout):
    before, done = texts(checkout), write(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert texts(checkout) == before


@pytest.mark.parametrize("ending", ["", "/", ".git"])
def test_badges_come_with_the_address_and_go_without_it(checkout, ending):
    give(checkout, None)
    assert write(checkout).returncode == 0
    before = texts(checkout)
    give(checkout, f"{ADDRESS}{ending}")
    assert write(checkout).returncode == 0
    after = texts(checkout)
    readme = after.pop("README.md")
    for name, text in after.items():
        link = f"https://colab.research.google.com/github/somebody/losses/blob/main/notebooks/{Path(name).stem}.ipynb"
        title, blank, badge, *_ = text[text.index("# # ") :].splitlines()
        assert (blank, badge) == ("#", f"# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({link})")
        assert f"({link}) {title.removeprefix('# # ')}\n" in readme
        assert f'or ["git+{ADDRESS}"])' in text
        compile(text, name, "exec")
    assert "Upload notebook" not in readme
    assert write(checkout).stdout == "", "once more changes nothing"
    give(checkout, None)
    assert write(checkout).returncode == 0
    assert texts(checkout) == before
    assert not any("colab-badge" in text for text in before.values())
    assert before["README.md"].count("Upload notebook") == 1


@pytest.mark.parametrize("address", ["somebody/losses", "https://gitlab.com/somebody/losses", f"{ADDRESS}/tree/main"])
def test_an_address_that_colab_cannot_open_is_refused(checkout, address):
    before = texts(checkout)
    give(checkout, address)
    done = write(checkout)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"Repository = '{address}' must be https://github.com/OWNER/NAME" in line
    assert texts(checkout) == before


def test_a_readme_without_its_place_is_named(checkout):
    (checkout / "README.md").write_text("# jaxloss\n")
    done = write(checkout)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the README has no lines")
