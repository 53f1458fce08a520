"""Every key of the configuration, as its settings dataclass declares it: meaning, range, when it acts, and what is said of it."""

import copy
import dataclasses
import json
from pathlib import Path

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
from jaxloss.runs.directory import flatten
from jaxloss.search.registry import SEARCHES
from jaxloss.study.modes import MODES as MODE_FUNCTIONS
from jaxloss.study.settings import MODES
from jaxloss.systems.registry import SYSTEMS
from jaxloss.tasks.registry import TASKS, RegisteredTask

KEYS, SECTIONS = keys(), sections()
NUMBERS = {name: key for name, key in KEYS.items() if type(key.default) in (int, float) and not key.declared.several}
REPOSITORY = Path(__file__).parents[1]
CONFIGS = REPOSITORY / "configs"
TINY = str(REPOSITORY / "tests/configs/tiny.py")


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
    assert {f"search.{name}" for name, kind in SEARCHES.items() if kind.settings_class} == {"search.evolution"}
    assert set(MODES) == set(MODE_FUNCTIONS)


def test_what_parts_read_elsewhere_are_keys():
    for section in SECTIONS.values():
        assert set(section.settings.reads) <= set(KEYS)


def test_what_may_change_when_a_run_is_continued():
    comparison = {f"comparison.{name}" for name in default_config().comparison if name != "splits"}
    others = {"search.num_trainings", "execution.workers", "data_dir", "quiet", "compilation_cache"}
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


# --- keys that do nothing -----------------------------------------------------------------------------------------------------

RETRIEVAL = {"task.name": "retrieval", "space.name": "autoloss_gms", "comparison.handcrafted": "('cosface',)"}


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (
            {"task.retrieval.model": "osnet"},
            "task.retrieval.model does nothing in this run: it is read by task.name=retrieval, and this run has "
            "task.name=classification",
        ),
        ({"task.retrieval.model_options.features": "(4, 8)"}, "task.retrieval.model_options does nothing in this run"),
        ({"task.options.size": "3"}, "it is read by task.name=module:factory, and this run has task.name=classification"),
        ({"space.options.depth": "3"}, "it is read by space.name=module:factory"),
        ({"space.autoloss_gms.num_scales": "3"}, "it is read by space.name=autoloss_gms, and this run has space.name="),
        ({"search.name": "random_search", "search.evolution.population_size": "9"}, "this run has search.name=random_search"),
        ({"search.name": "random_search", "search.seeds": "('target',)"}, "it is read by search.name=evolution"),
        ({"search.name": "random_search", "search.control": "false"}, "another search.name than random_search"),
        ({"search.name": "random_search", "space.autoloss_zero.num_mutations": "3"}, "it is read by search.name=evolution"),
        ({"search.chooser.enabled": "true"}, "it is read by space.name=autoloss_gms, and this run has space.name=autoloss_zero"),
        ({"filters.properties.fraction": "0.5"}, "it is read by space.name=autoloss_gms"),
        ({**RETRIEVAL, "search.chooser.candidates": "5"}, "it is read with search.chooser.enabled=true, and this run has"),
        ({**RETRIEVAL, "search.chooser.predictor.width": "5"}, "it is read with search.chooser.enabled=true"),
        ({**RETRIEVAL, "filters.properties.enabled": "false", "filters.properties.fraction": "0.5"}, "properties.enabled=true"),
        ({**RETRIEVAL, "filters.equivalence.signed": "true"}, "it is read by space.name=autoloss_zero, and this run has"),
        (
            {**RETRIEVAL, "filters.rejection.variable": "logits"},
            "it is read by task.name=classification, and this run has task.name=retrieval",
        ),
        ({"filters.rejection.enabled": "false", "filters.rejection.momentum": "0.5"}, "filters.rejection.enabled=true"),
        (
            {"task.name": "fast", "filters.rejection.minimum_metric": "0.9", "filters.rejection.minimum_gain": "0.5"},
            "filters.rejection.minimum_gain does nothing in this run: it is read with filters.rejection.minimum_metric=0.0",
        ),
        ({"task.name": "fast", "data_dir": "somewhere"}, "it is read by task.name=classification or task.name=retrieval"),
        ({"losses": "('mae',)"}, "it is read with mode=compare, and this run has mode=search"),
        ({"loss": "mae"}, "it is read with mode=train, and this run has mode=search"),
        ({"mode": "compare", "comparison.handcrafted": "('mae',)"}, "it is read with mode=search, and this run has mode=compare"),
        (
            {"mode": "train", "loss": "mae", "search.num_trainings": "5"},
            "it is read with mode=search, and this run has mode=train",
        ),
        ({"mode": "train", "loss": "mae", "filters.batch": "5"}, "it is read with mode=search"),
        ({"mode": "train", "loss": "mae", "comparison.tuning_trainings": "99"}, "with mode=search or compare"),
        ({"training.optimiser": "adam", "training.momentum": "0.5"}, "it is read with training.optimiser=sgd"),
        ({"training.step_factor": "0.5"}, "it is read with training.schedule=steps, and this run has training.schedule=cosine"),
        ({"training.warmup_start": "0.5"}, "it is read with another training.warmup_epochs than 0.0"),
        ({"execution.mode": "serial", "execution.lanes": "4"}, "and this run has execution.mode=serial"),
        ({"task.classification.split_seed": "4"}, "a run divides its data as comparison.splits says"),
        ({"task.classification.noise_rate": "0.4"}, "it is read with another task.classification.noise_kind than none"),
        (
            {"task.classification.noise_kind": "symmetric", "task.classification.noise_mapping": "cifar10"},
            "it is read with task.classification.noise_kind=asymmetric",
        ),
        ({**RETRIEVAL, "task.retrieval.rerank_k1": "5"}, "it is read with task.retrieval.rerank=true"),
        ({**RETRIEVAL, "task.retrieval.triplet_margin": "0.5"}, "it is read with another task.retrieval.triplet_weight than 0.0"),
    ],
)
def test_a_key_that_does_nothing_is_refused(overrides, says):
    config = default_config()
    apply_overrides(config, overrides)
    check_config(config)
    with pytest.raises(UserError) as error:
        refuse_idle_keys(config, overrides)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "overrides",
    [
        {
            "task.name": "retrieval",
            "space.name": "autoloss_gms",
            "search.chooser.enabled": "true",
            "search.chooser.candidates": "5",
        },
        # The classification task draws its samples for the gain, whatever the protocol asks for.
        {"filters.rejection.minimum_metric": "0.9", "filters.rejection.minimum_gain": "0.5"},
        {"filters.rejection.enabled": "false", "filters.rejection.variable": "logits", "filters.rejection.num_samples": "9"},
        {"task.name": "examples.own_task:make_task", "task.options.size": "9"},
        {"space.name": "examples.own_space:parabolas", "space.options.step": "0.2", "filters.properties.fraction": "0.5"},
        # A default does no harm.
        {"search.name": "random_search", "search.evolution.population_size": "2500"},
    ],
)
def test_a_key_that_acts_is_not_refused(overrides):
    config = default_config()
    apply_overrides(config, overrides)
    refuse_idle_keys(config, overrides)


def test_a_config_file_serves_runs_of_all_modes():
    """What a file says of a search is no mistake where its losses are only compared; what it says of another task is one."""
    config = load_config(TINY, {"mode": "train", "loss": "mae"})
    assert config.search.num_trainings == 6
    compared = copy.deepcopy(config)
    compared.mode, compared.loss = "compare", ""
    compared.comparison.handcrafted = default_config().comparison.handcrafted
    refuse_idle_keys(compared)
    config = load_config(TINY)
    config.task.classification.model = "small_cnn"
    with pytest.raises(UserError, match=r"task\.classification\.model does nothing in this run: it is read by task\.name=class"):
        refuse_idle_keys(config)


def test_a_part_that_is_replaced_makes_no_mistake_of_what_the_file_says_about_it():
    config = load_config(str(CONFIGS / "autoloss_zero_digits.py"), {"task.name": "fast"})
    assert config.task.classification.noise_kind == "symmetric"


@pytest.mark.parametrize(
    "name",
    ["autoloss_zero_digits", "autoloss_zero_cifar10", "autoloss_gms_market1501", "autoloss_gms_omniglot_full", "quickstart"],
)
def test_shipped_configs_set_nothing_in_vain(name):
    load_config(f"configs/{name}.py")


# --- keys that are called otherwise now ----------------------------------------------------------------------------------------


def test_a_moved_key_is_named_as_it_is_called_now(tmp_path):
    assert moved_keys() == {"model.pretrained": "task.retrieval.pretrained"}
    file = tmp_path / "old.py"
    file.write_text(
        "from jaxloss.config import default_config\ndef get_config():\n    c = default_config()\n"
        "    c.model.pretrained = 'x'\n    return c"
    )
    with pytest.raises(UserError, match=r"unknown config key 'model'\. It is 'task\.retrieval\.pretrained' now\."):
        load_config(str(file))


def test_a_run_that_an_earlier_version_began_goes_on(tmp_path):
    """Its keys are brought up to date before they are compared."""
    given = default_config().to_dict()
    old = copy.deepcopy(given)
    del old["task"]["fast"], old["task"]["retrieval"]["pretrained"]
    old["model"] = {"pretrained": ""}
    with RunDirectory.open(tmp_path / "run", old) as run:
        run.archive.commit(state={"something": 1})
        (tmp_path / "run" / "summary.json").write_text("{}")
    assert flatten(given) == {**upgraded(flatten(old))}
    with RunDirectory.open(tmp_path / "run", given, MAY_CHANGE, upgraded) as run:
        assert run.resumed
    old["model"] = {"pretrained": "weights"}
    (tmp_path / "run" / "config.json").write_text(json.dumps(old))
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


def test_the_help_of_a_key_that_there_is_not(capsys):
    assert launch.main(["--help=trainin.momentum"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no config key or section 'trainin.momentum'. Did you mean 'training.momentum'?")
    assert error.count("\n") == 1
