"""Every key of the configuration, as its settings dataclass declares it: meaning, range, when it acts, and what is said of it."""

import copy
import dataclasses
import re

import pytest

from jaxloss import launch
from jaxloss.config import MAY_CHANGE, default_config
from jaxloss.config.check import check_config, refuse_idle_keys
from jaxloss.config.file import load_config
from jaxloss.config.help import help_text
from jaxloss.config.overrides import apply_overrides
from jaxloss.config.schema import keys, moved_keys, read, section_of, sections, upgraded
from jaxloss.core.conditions import in_mode
from jaxloss.core.errors import UserError
from jaxloss.core.settings import Settings, declarations, setting
from jaxloss.runs import RunDirectory
from jaxloss.runs.stored_config import flatten
from jaxloss.search.registry import SEARCHES
from jaxloss.spaces.families import FAMILIES
from jaxloss.study.modes import MODE_FUNCTIONS
from jaxloss.study.settings import RUN_MODES
from jaxloss.systems.registry import PUBLISHED, SYSTEMS
from jaxloss.tasks.registry import TASKS, RegisteredTask
from tests.runs.contents import candidate

KEYS, SECTIONS = keys(), sections()
NUMBERS = {name: key for name, key in KEYS.items() if type(key.default) in (int, float) and not key.declared.several}


def config_with(**values):
    """The default config with values that need not be of the right type; `__` stands for a dot."""
    config = default_config()
    for name, value in values.items():
        *path, last = name.split("__")
        with config.ignore_type():
            section_of(config, ".".join(path))[last] = value
    return config


# --- every key ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KEYS)
def test_a_key_has_a_meaning_in_one_line(name):
    meaning = KEYS[name].declared.meaning
    assert meaning
    assert "\n" not in meaning
    assert not meaning.endswith(".")


def test_defaults_pass_their_own_checks():
    check_config(default_config())
    refuse_idle_keys(default_config())
    for section in SECTIONS.values():
        assert read(default_config(), section.settings) == section.settings()


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_has_a_range_and_beyond_it_is_refused(name):
    declared = NUMBERS[name].declared
    if declared.choices:
        with pytest.raises(UserError, match=f"unknown {name} '-1'"):
            check_config(config_with(**{name.replace(".", "__"): -1}))
        return
    assert declared.low < declared.high < float("inf")
    for wrong, bound in ((declared.low - 1, f"at least {declared.low}"), (declared.high + 1, f"at most {declared.high}")):
        with pytest.raises(UserError) as error:
            check_config(config_with(**{name.replace(".", "__"): wrong}))
        assert str(error.value) == f"config key {name} must be {bound}, not {wrong}"


@pytest.mark.parametrize("name", [name for name, key in KEYS.items() if key.declared.choices])
def test_what_is_no_choice_is_refused_with_the_key(name):
    with pytest.raises(UserError, match=f"unknown {name} 'no such'.*Choices: "):
        check_config(config_with(**{name.replace(".", "__"): "no such"}))


def test_the_parts_of_every_registry_have_the_section_of_their_name():
    assert {f"task.{name}" for name in TASKS} <= set(SECTIONS)
    assert all(SECTIONS[f"space.{name}"].settings is system.settings for name, system in SYSTEMS.items())
    assert all(SECTIONS[kind.section].settings is kind for system in SYSTEMS.values() for kind in system.sections)
    assert all(
        SECTIONS[f"search.{name}"].settings is kind.settings_class for name, kind in SEARCHES.items() if kind.settings_class
    )
    assert set(RUN_MODES) == set(MODE_FUNCTIONS)


def test_what_parts_read_elsewhere_are_keys():
    for section in SECTIONS.values():
        assert set(section.settings.reads) <= set(KEYS)


def test_what_may_change_when_a_run_is_continued():
    comparison = {f"comparison.{name}" for name in default_config().comparison if name != "divisions"}
    others = {
        "losses",
        "search.num_trainings",
        "search.restarts",
        "execution.workers",
        "execution.executor",
        "execution.address",
        "data_dir",
        "quiet",
        "compilation_cache",
    }
    others |= {f"execution.distributed.{name}" for name in default_config().execution.distributed}
    assert set(MAY_CHANGE) == comparison | others
    assert len(MAY_CHANGE) == len(set(MAY_CHANGE))


def test_a_new_section_brings_its_keys_checks_and_help(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class LineSettings(Settings, section="task.line", reads=("filters.rejection.variable",)):
        """A line through points."""

        slope: float = setting(1.5, "Of the line", low=-10.0, high=10.0)
        points: int = setting(8, "Along the line", low=1, high=100, acts_when=(in_mode("search"),))

    monkeypatch.setitem(TASKS, "line", RegisteredTask(LineSettings, lambda settings, context: None))
    config = default_config()
    assert config.task.line.slope == 1.5
    apply_overrides(config, {"task.line.slope": "2", "task.name": "line", "filters.rejection.variable": "logits"})
    check_config(config)
    refuse_idle_keys(config)
    assert "--config.task.line.slope=1.5" in help_text("task.line")
    with pytest.raises(UserError, match=r"Did you mean 'task\.line\.slope'"):
        apply_overrides(config, {"task.line.slop": "2"})
    config.task.line.slope = 11.0
    with pytest.raises(UserError, match=r"config key task\.line\.slope must be at most 10\.0, not 11\.0"):
        check_config(config)


# --- keys that are called otherwise now ----------------------------------------------------------------------------------------


def test_a_moved_key_is_named_as_it_is_called_now(tmp_path):
    assert moved_keys() == {
        "model.pretrained": "task.retrieval.pretrained",
        "comparison.splits": "comparison.divisions",
        "task.classification.split_seed": "task.classification.division",
        "task.retrieval.split_seed": "task.retrieval.division",
    }
    file = tmp_path / "old.py"
    for line, says in {
        "c.model.pretrained = 'x'": "unknown config key 'model'. It is 'task.retrieval.pretrained' now.",
        "c.comparison.splits = (0,)": "unknown config key 'splits'. It is 'comparison.divisions' now.",
    }.items():
        file.write_text(
            f"from jaxloss.config import default_config\ndef get_config():\n    c = default_config()\n    {line}\n    return c"
        )
        with pytest.raises(UserError, match=re.escape(says)):
            load_config(str(file))
    with pytest.raises(UserError, match=r"unknown config key 'comparison\.splits'\. It is 'comparison\.divisions' now\."):
        apply_overrides(default_config(), {"comparison.splits": "(0,)"})


def test_a_run_that_an_earlier_version_began_goes_on(tmp_path):
    """Its keys are brought up to date before they are compared."""
    given = default_config().to_dict()
    old = copy.deepcopy(given)
    del old["task"]["fast"], old["task"]["retrieval"]["pretrained"]
    old["model"] = {"pretrained": ""}
    old["comparison"]["splits"] = old["comparison"].pop("divisions")
    with RunDirectory.open(tmp_path / "run", old) as run:
        run.archive.commit(candidates=[candidate(0)])
    assert flatten(given) == {**upgraded(flatten(old))}
    with RunDirectory.open(tmp_path / "run", given, MAY_CHANGE, upgraded) as run:
        assert run.resumed
    old["model"] = {"pretrained": "weights"}
    assert upgraded(flatten(old))["task.retrieval.pretrained"] == "weights"


# --- help -----------------------------------------------------------------------------------------------------------------------


def test_every_key_is_in_the_help_of_all_and_of_its_section(capsys):
    assert launch.main(["--help=all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("=")[0].strip() for line in lines if line.startswith("  --config.")] == [
        f"--config.{name}" for name in KEYS
    ]
    assert max(map(len, lines)) <= 130
    for name, section in SECTIONS.items():
        if name:
            own = help_text(name)
            assert all(f"--config.{section.settings.key(one)}=" in own for one in declarations(section.settings))
            assert own.startswith(f"[{name}] ")


@pytest.mark.parametrize(
    "arguments", [["--help=training.momentum"], ["--help", "training.momentum"], ["--help", "--config.training.momentum"]]
)
def test_the_help_of_one_key(capsys, arguments):
    assert launch.main(arguments) == 0
    assert capsys.readouterr().out == (
        "  --config.training.momentum=0.9\n      Of SGD; from 0.0 to 1.0; read with training.optimiser=sgd\n"
    )


@pytest.mark.parametrize("key", ["loss", "losses", "comparison.handcrafted"])
def test_the_help_of_a_key_of_losses_lists_them(key):
    text = help_text(key)
    assert text.startswith(f"  --config.{key}=")
    assert "\n  gce                     GCE: logits, target; q 0.7\n" in text
    assert {*FAMILIES, *PUBLISHED} <= {*re.findall(r"\w+", text)}
    assert max(map(len, text.splitlines())) <= 120


def test_the_help_of_a_key_that_there_is_not(capsys):
    assert launch.main(["--help=trainin.momentum"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no config key or section 'trainin.momentum'. Did you mean 'training.momentum'?")
    assert error.count("\n") == 1


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_preset_is_of_keys_and_is_checked(system):
    """The numbers of a paper, where they differ from the defaults."""
    config, preset = default_config(system), SYSTEMS[system].preset
    check_config(config)
    refuse_idle_keys(config)
    default = flatten(default_config().to_dict())
    changed = {key for key, value in flatten(config.to_dict()).items() if value != default[key]}
    assert changed == set(preset)
    assert config.space.name == system


def test_a_preset_that_there_is_not():
    with pytest.raises(UserError, match="unknown system 'autoloss_gm'"):
        default_config("autoloss_gm")


@dataclasses.dataclass(frozen=True)
class LateSettings(Settings, section="space.late"):
    """Of a system that is registered while a program runs."""

    branch: str = setting("classification", "Name of the loss branch")


def test_what_is_registered_later_has_its_keys(monkeypatch):
    """They are gathered once for what the registries hold, and anew where that changes."""
    before = set(keys())
    monkeypatch.setitem(SYSTEMS, "late", dataclasses.replace(SYSTEMS["autoloss_zero"], settings=LateSettings))
    assert set(keys()) - before == {"space.late.branch"}
    assert sections()["space.late"].settings is LateSettings
    monkeypatch.undo()
    assert set(keys()) == before
    assert "space.late" not in sections()
