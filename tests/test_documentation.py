"""The pages for users name only what there is."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

import jaxloss
from jaxloss import command
from jaxloss.config.schema import keys
from jaxloss.core.files import shipped_configs
from jaxloss.study.export import FORMATS
from tests.errors import user_error

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
# A user's own.
GIVEN = {"FILE.py"}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def code_of(arguments):
    try:
        return command.main(arguments)
    except SystemExit as end:
        return end.code or 0


def commands_of(text):
    """Every command of a page, as a list of words."""
    for _, block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("jaxloss "):
                yield shlex.split(line, comments=True)


def load(command_line):
    """Reads the config of a command with what the command overrides, where it has one that comes with jaxloss."""
    names = [word.removeprefix("--config=") for word in command_line if word.startswith("--config=")]
    overrides = dict(word.removeprefix("--config.").split("=", 1) for word in command_line if word.startswith("--config."))
    for name in set(names) - GIVEN:
        jaxloss.load_config(name, overrides)


def test_what_a_config_does_not_take_is_found():
    (words,) = commands_of("```\njaxloss search --config=quickstart \\\n    --config.task.classification.noise_kind=\n```\n")
    with user_error("task.classification.noise_kind"):
        load(words)


def test_every_page_is_in_the_navigation():
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert {page for entry in navigation for page in entry.values()} == {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
class TestPage:
    def test_links_lead_to_pages(self, page):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).is_file(), target

    def test_configs_and_keys_exist(self, page):
        text, shipped = page.read_text(), shipped_configs()
        for name in re.findall(r"--config=(\S+)", text):
            assert name in shipped or name in GIVEN, name
        for key in re.findall(r"--config\.([\w.]+)", text):
            assert key in keys(), key
        for name in re.findall(r"`((?:autoloss|am_lfs|cse)_\w+)`", text):
            assert name in shipped, name
        for name in re.findall(r"--format=(\w+)", text):
            assert name in FORMATS, name

    def test_commands_can_be_read(self, page, capsys):
        for _, word, *_ in commands_of(page.read_text()):
            assert code_of([word, "--help"]) == 0
        capsys.readouterr()

    def test_configs_take_what_commands_override(self, page):
        for command_line in commands_of(page.read_text()):
            load(command_line)

    def test_python_compiles(self, page):
        for language, block in BLOCK.findall(page.read_text()):
            if language == "python":
                compile(block, page.name, "exec")


def test_the_reference_has_every_public_name():
    listed = re.findall(r"^::: ([\w.]+)$", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE)
    assert sorted(name.rpartition(".")[2] for name in listed) == sorted(jaxloss.__all__)
