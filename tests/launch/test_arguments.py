"""Arguments and config files: what a user can get wrong ends in one line on stderr, exit code 2."""

import subprocess
import sys

import pytest

from jaxloss import launch
from jaxloss.config import default_config
from jaxloss.config.overrides import apply_overrides
from jaxloss.config.unknown_keys import WHERE
from jaxloss.core.errors import UserError
from tests.launch.command import REPOSITORY, TINY


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--confg=x.py"], "unknown argument '--confg'. Did you mean '--config'?"),
        (["x.py"], "unexpected argument 'x.py'. usage: python -m jaxloss.launch"),
        (["--config"], "the argument '--config' has no value"),
        (["--workdir=here"], "--config is missing. usage:"),
        (["--config=x.py", "--workdir="], "the argument '--workdir' has no value"),
        (["--config=absent.py"], "no config file 'absent.py'"),
        (["--config=README"], "no config file 'README'"),
        (["--config=pyproject.toml"], "the config 'pyproject.toml' is not a Python file"),
        (["--config=tests/launch/test_arguments.py"], "needs a function get_config()"),
    ],
)
def test_arguments(capsys, arguments, says):
    assert launch.main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_help_wherever_it_stands(capsys):
    assert launch.main(["--config=configs/quickstart.py", "--help=training.momentum"]) == 0
    assert capsys.readouterr().out.startswith("  --config.training.momentum=0.9")
    assert launch.main(["--config=configs/quickstart.py", "--help"]) == 0
    assert capsys.readouterr().out.count("usage:") == 1


def test_a_section_is_no_key(capsys):
    assert launch.main(["--config=configs/quickstart.py", "--config.search.chooser=3"]) == 2
    says = "error: config key search.chooser is a section: set one of its keys, which --help=search.chooser lists\n"
    assert capsys.readouterr().err == says


def test_help_and_no_arguments(capsys):
    assert launch.main(["--help"]) == 0
    assert capsys.readouterr().out.count("usage:") == 1
    assert launch.main([]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("usage:")
    assert captured.out == ""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("def get_config(:", "does not run"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("def get_config():\n    return undefined", "'undefined' is not defined"),
        (
            "from jaxloss.config import default_config\ndef get_config():\n    c = default_config()\n"
            "    c.search.num_training = 5\n    return c",
            "names an unknown config key 'num_training'. Did you mean 'search.num_trainings'? " + WHERE,
        ),
        (
            "from jaxloss.config import default_config\ndef get_config():\n    c = default_config()\n"
            "    c.serch.num_trainings = 5\n    return c",
            "names an unknown config key 'serch'. Did you mean 'search'? " + WHERE,
        ),
        (
            "from jaxloss.config import default_config\ndef get_config():\n    c = default_config()\n    c.unlock()\n"
            "    c.search.num_training = 5\n    return c",
            "names an unknown config key 'search.num_training'. Did you mean 'search.num_trainings'?",
        ),
        (
            "from ml_collections import ConfigDict\ndef get_config():\n    return ConfigDict({'a': 1})",
            "a config without the key 'comparison': begin it with jaxloss.config.default_config()",
        ),
        (
            "from jaxloss.config import default_config\ndef get_config():\n    c = default_config()\n"
            "    c.losses = None\n    return c",
            "sets 'losses' to None; it takes a value of type tuple like ('cross_entropy',)",
        ),
        (
            "from jaxloss.config import default_config\ndef get_config():\n    c = default_config()\n"
            "    c.search = None\n    return c",
            "sets 'search', which is a section of keys, to None",
        ),
        ("def get_config():\n    return {}['x']", "does not run: KeyError: 'x'"),
        (
            "from jaxloss.config import default_config\ndef get_config():\n    c = default_config()\n"
            "    c.search.num_trainings = 'many'\n    return c",
            "num_trainings",
        ),
    ],
)
def test_config_files_with_a_mistake(refused, tmp_path, body, says):
    file = tmp_path / "broken.py"
    file.write_text(body)
    line = refused(config=file)
    assert str(file) in line
    assert says in line


def test_options_of_a_config_take_any_key():
    config = default_config()
    config.task.options.anything = 3
    config.space.options = {"depth": 2}
    config.task.classification.model_options.widths = (4,)
    with pytest.raises(AttributeError):
        config.task.nothing = 1


def test_options_can_be_given_on_the_command_line():
    config = default_config()
    config.task.retrieval.source_options = {"image_key": "images28", "camera_key": "drawer"}
    overrides = {
        "task.retrieval.source_options": "{}",
        "task.retrieval.test_source_options.image_key": "faces",
        "task.retrieval.test_source_options.camera_key": "",
        "task.retrieval.model_options.features": "(4, 8)",
        "task.retrieval.model_options.bnneck": "true",
        "task.retrieval.augmentation_options": "{'padding': 2}",
        "task.retrieval.augmentation_options.padding": "5",
    }
    apply_overrides(config, overrides)
    retrieval = config.task.retrieval
    assert retrieval.source_options.to_dict() == {}
    assert retrieval.test_source_options.to_dict() == {"image_key": "faces", "camera_key": ""}
    assert retrieval.model_options.to_dict() == {"features": (4, 8), "bnneck": True}
    assert retrieval.augmentation_options.to_dict() == {"padding": 5}
    for key in ("task.retrieval.model_option.bnneck", "task.retrieval.bnneck", "task.retrieval.model_options.a.b", "bnneck"):
        with pytest.raises(UserError, match=f"unknown config key '{key}'"):
            apply_overrides(config, {key: "true"})
    with pytest.raises(UserError, match="model_options takes a value of type dict"):
        apply_overrides(config, {"task.retrieval.model_options": "bnneck"})


@pytest.mark.parametrize("override", ["seach.name=x", "mode=find"])
def test_a_mistake_in_an_override_is_one_line(refused, override):
    refused(override)


def test_a_real_command_prints_one_line(tmp_path):
    """Nor does anything that it imports say more."""
    arguments = [f"--config={TINY}", f"--workdir={tmp_path / 'run'}", "--config.task.name=absent:make"]
    command = [sys.executable, "-m", "jaxloss.launch", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("argument", ["--config", "--workdir", "--config.seed"])
def test_an_argument_that_is_given_twice(capsys, argument):
    assert launch.main(["--config=a.py", "--workdir=here", "--config.seed=1", f"{argument}=2"]) == 2
    assert capsys.readouterr().err == f"error: the argument '{argument}' is given twice\n"


def test_debug_shows_where_a_mistake_comes_from(tmp_path, capsys):
    file = tmp_path / "wrong.py"
    file.write_text("def get_config():\n    return 1 // 0\n")
    assert launch.main(["--debug", f"--config={file}"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "return 1 // 0" in error
    assert "\nerror: " in error
