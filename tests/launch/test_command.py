"""The command `jaxloss`, and configs that are found by their names."""

import subprocess
import sys
from pathlib import Path

import pytest

import jaxloss
from jaxloss import command
from jaxloss.core.files import config_file, shipped_configs
from tests.errors import user_error

REPOSITORY = Path(__file__).parents[2]


def test_help_and_version(capsys):
    assert command.main([]) == command.main(["--help"]) == 0
    assert capsys.readouterr().out.count("jaxloss search --config=quickstart") == 2
    assert command.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == jaxloss.__version__


def test_a_mistyped_command_is_one_line(capsys):
    assert command.main(["serch", "--config=quickstart"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Did you mean 'search'?" in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["search", "--help"], "--workdir   directory of the run"),
        (["compare", "--help=training.batch_size"], "training.batch_size"),
        (["sweep", "--help"], "--transfer"),
    ],
)
def test_each_word_has_the_help_of_its_module(capsys, arguments, says):
    assert command.main(arguments) == 0
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("word", ["train", "compare"])
def test_a_word_sets_the_mode(tmp_path, capsys, word):
    config = REPOSITORY / "tests" / "configs" / "tiny.py"
    assert command.main([word, f"--config={config}", f"--workdir={tmp_path}", "--config.mode=search"]) == 2
    assert "config.mode' is given twice" in capsys.readouterr().err


def test_configs_are_found_by_their_names():
    assert config_file("quickstart") == REPOSITORY / "configs" / "quickstart.py"
    assert {file.stem for file in (REPOSITORY / "configs").glob("*.py")} == {*shipped_configs()}
    assert jaxloss.load_config("quickstart").to_dict() == jaxloss.load_config("configs/quickstart.py").to_dict()
    with user_error("config", "quickstrat", "Did you mean 'quickstart'?"):
        config_file("quickstrat")
    with user_error("no config file 'absent.py'"):
        config_file("absent.py")


def test_an_installed_package_has_the_configs(tmp_path):
    """And finds them where there is no checkout."""
    build = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    code = "from jaxloss.core.files import config_file; print(config_file('quickstart'))"
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert Path(found.stdout.strip()) == tmp_path / "jaxloss" / "configs" / "quickstart.py"
