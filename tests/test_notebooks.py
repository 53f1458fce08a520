"""The notebooks: each runs whole in its short form, and is what its text says."""

import json
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from jaxloss.cli import notebook
from jaxloss.cli.notebook import NotebookProgress

FOLDER = Path(__file__).parents[1] / "notebooks"
TEXTS = sorted(FOLDER.glob("*.py"))


def cells_of(text):
    """`(kind, source)` of the cells of a notebook that is kept as text, magic commands as they are in the notebook."""
    _, *parts = re.split(r"^# %%(?: \[(markdown)\])?\n", text, flags=re.MULTILINE)
    for kind, source in zip(parts[::2], parts[1::2], strict=True):
        if kind == "markdown":
            yield "markdown", re.sub(r"^# ?", "", source.strip(), flags=re.MULTILINE)
        else:
            yield "code", re.sub(r"^( *)# %", r"\1%", source.strip(), flags=re.MULTILINE)


def test_there_are_notebooks():
    assert {path.stem for path in TEXTS} == {path.stem for path in FOLDER.glob("*.ipynb")} != set()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_a_notebook_is_what_its_text_says(path):
    """`make notebooks` makes it so."""
    stored = json.loads(path.with_suffix(".ipynb").read_text())["cells"]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in stored] == list(cells_of(path.read_text()))
    assert not any(cell.get("outputs") for cell in stored)


@pytest.mark.slow
@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLOSS_NOTEBOOKS", "short")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]))
    content = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    NotebookClient(content, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in content.cells if cell.cell_type == "code" for output in cell.outputs]
    pages = [output["data"].get("text/html", "") for output in outputs if "data" in output]
    assert any("<progress" in page for page in pages), "a bar while it works"
    assert any("<table>" in page for page in pages), "the comparison as a table"
    assert "report.html" in str(outputs[-1])
    assert not [output for output in outputs if output.get("name") == "stderr" and "error" in output["text"].lower()]


class Shown:
    def __init__(self):
        self.pages = []

    def update(self, page):
        self.pages.append(page.data)


def test_the_bar_is_updated_in_place_and_text_stays_text(monkeypatch):
    shown = Shown()

    def display(page, display_id):
        assert display_id
        shown.update(page)
        return shown

    monkeypatch.setattr("IPython.display.display", display)
    progress = NotebookProgress()
    progress.message("a <b> & c")
    progress.step("tune", 1, 4, "<script>")
    progress.step("tune", 4, 4)
    assert "a &lt;b&gt; &amp; c" in shown.pages[0]
    assert 'value="1" max="4"' in shown.pages[1]
    assert "&lt;script&gt;" in shown.pages[1]
    assert 'value="4" max="4"' in shown.pages[-1]
    assert all("a &lt;b&gt;" in page for page in shown.pages), "messages stay"
    NotebookProgress(quiet=True).message("nothing")
    assert "nothing" not in shown.pages[-1]


def test_a_terminal_is_no_notebook():
    assert not notebook.in_notebook()
