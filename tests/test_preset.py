"""Whole ways to search by name: what `search.preset` makes of a config."""

import dataclasses

import pytest

import jaxloss
from jaxloss.config import default_config
from jaxloss.config.check import values_of
from jaxloss.config.check_run import check_run, set_beside_its_file
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.config.presets import with_preset
from jaxloss.config.schema import keys
from jaxloss.core.errors import UserError
from jaxloss.search.presets import PAPER, PRESETS, STRONG
from jaxloss.systems.registry import SYSTEMS
from jaxloss.tasks.fast import make_fast
from tests.launch.command import TINY, run

DIGITS = "configs/autoloss_zero_digits.py"


def filled(config):
    return values_of(with_preset(config, set_beside_its_file(config) or ()))


def loaded(**overrides):
    return filled(load_config(DIGITS, {"search.preset": STRONG, **overrides}))


def written(tmp_path, *lines):
    """A config file that says more than the shipped one."""
    path = tmp_path / "config.py"
    body = "\n".join(f"    {line}" for line in lines)
    path.write_text(
        f"from tests.configs import tiny\n\ndef get_config():\n    config = tiny.get_config()\n{body}\n    return config\n"
    )
    return str(path)


def test_the_papers_change_nothing():
    config = load_config(DIGITS)
    assert config.search.preset == PAPER
    assert filled(config) == values_of(config)


def test_every_value_is_one_that_its_key_takes():
    for system in SYSTEMS.values():
        for name in PRESETS:
            assert {*PRESETS[name], *system.search_presets.get(name, {})} <= set(keys())
            config = default_config(system.name)
            config.search.preset = name
            once = with_preset(config)
            values_of(once)
            assert values_of(with_preset(once)) == values_of(once)


def test_a_preset_fills_what_nothing_is_said_of():
    values = loaded()
    for name, value in PRESETS[STRONG].items():
        assert values[name] == value
    assert values["space.autoloss_zero.term_probability"] > 0


def test_what_the_file_says_stays(tmp_path):
    path = written(tmp_path, "config.search.preset = 'strong'", "config.search.evolution.tournament_ratio = 0.3")
    values = filled(load_config(path, {"search.num_trainings": "100"}))
    assert values["search.evolution.tournament_ratio"] == 0.3
    assert values["search.surrogate.candidates"] == 16


def test_what_is_said_stays_even_where_it_is_the_default():
    values = loaded(**{"search.surrogate.candidates": 1, "search.calibration_trainings": 0})
    assert values["search.surrogate.candidates"] == 1
    assert values["search.calibration_trainings"] == 0
    assert values["search.divisions_per_candidate"] == 3


def test_keys_that_nothing_reads_are_left_alone():
    values = loaded(**{"search.name": "random_search"})
    assert values["search.evolution.immigrants"] == 0
    assert values["space.autoloss_zero.term_probability"] == 0
    assert values["search.surrogate.candidates"] == 16
    other = load_config(DIGITS, {"mode": "compare", "losses": "('mae', 'cross_entropy')"})
    other.search.preset = STRONG
    assert filled(other)["comparison.num_divisions"] == values_of(other)["comparison.num_divisions"]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ({"search.seeds_per_candidate": 2}, {"search.divisions_per_candidate": 1}),
        ({"comparison.divisions": "(0, 1)"}, {"search.divisions_per_candidate": 1}),
        ({"search.num_trainings": 20}, {"search.calibration_trainings": 0}),
        ({"comparison.handcrafted": "()"}, {"search.calibration_trainings": 0}),
        ({"search.racing_first": 1}, {"search.seeds_per_candidate": 3}),
    ],
)
def test_it_fits_itself_to_what_is_said(said, left):
    values = loaded(**said)
    for name, value in left.items():
        assert values[name] == value


def test_keys_that_it_wakes_may_be_given():
    assert loaded(**{"search.calibration_loss": "focal"})["search.calibration_loss"] == "focal"
    with pytest.raises(UserError, match=r"search.calibration_loss does nothing in this run"):
        load_config(DIGITS, {"search.calibration_loss": "focal"})
    config = default_config()
    config.search.preset, config.search.surrogate.optimism = STRONG, 1.0
    check_run(config)
    config.search.preset = PAPER
    with pytest.raises(UserError, match=r"search.surrogate.optimism does nothing in this run"):
        check_run(config)


def test_a_file_that_the_command_line_repairs(tmp_path):
    path = written(tmp_path, "config.search.preset = 'strong'", "config.search.calibration_trainings = 100")
    assert load_config(path, {"search.calibration_trainings": "0"}).search.calibration_trainings == 0
    with pytest.raises(UserError, match="is not enough for one candidate"):
        load_config(path)


class TestInPython:
    def test_a_loaded_config_stays_as_it_was_written(self):
        config = load_config("configs/quickstart.py")
        assert config.search.preset == STRONG
        assert config.search.surrogate.candidates == 1
        config.search.preset = PAPER
        assert filled(config)["search.surrogate.candidates"] == 1

    def test_keys_of_several_kinds_and_linked_ones_stay_so(self, tmp_path):
        for preset in PRESETS:
            link = "config.comparison.learning_rate_high = config.training.get_ref('learning_rate')"
            config = load_config(written(tmp_path, link), {"search.preset": preset, "search.num_trainings": "100"})
            config.task.classification.noise_mapping = (1, 0)
            config.training.learning_rate = 0.5
            assert config.comparison.learning_rate_high == 0.5

    def test_a_run_of_a_changed_config_is_filled(self, tmp_path):
        config = load_config(TINY, {"search.num_trainings": "12"})
        config.search.preset = STRONG
        config.search.calibration_trainings = 6
        config.search.control = config.filters.rejection.enabled = False
        config.comparison.rank_candidates = config.comparison.rank_seeds = config.comparison.test_seeds = 1
        config.comparison.handcrafted = ("cross_entropy",)
        stored = jaxloss.run(config, tmp_path / "run").config
        assert stored["search"]["seeds_per_candidate"] == 3
        assert stored["search"]["calibration_trainings"] == 6


def without_samples():
    """A task that cannot say what its losses pull to."""
    return dataclasses.replace(make_fast(), output_samples=None)


def test_a_task_without_samples_takes_the_preset_and_not_the_key(tmp_path):
    other = {"task.name": "tests.test_preset:without_samples", "search.num_trainings": "100"}
    plan = make_plan(load_config(TINY, {**other, "search.preset": STRONG}))
    assert plan.config.search.surrogate.candidates == 1
    (remark,) = (text for text in plan.remarks if "search.preset=strong sets" in text)
    assert "search.seeds_per_candidate=3" in remark
    assert "surrogate" not in remark
    with pytest.raises(UserError, match="needs a task with output_samples, and the task fast has none: set it to 1"):
        make_plan(load_config(TINY, {**other, "search.surrogate.candidates": "4"}))


def test_a_mistyped_name_is_one_line(tmp_path, capsys):
    assert run(tmp_path / "run", "search.preset=stong") == 2
    assert "Did you mean 'strong'?" in capsys.readouterr().err
    with pytest.raises(UserError, match="stong"):
        load_config(DIGITS, {"search.preset": "stong"})
