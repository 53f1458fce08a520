"""Whole ways to search by name: what `search.preset` makes of a config."""

import pytest

import jaxloss
from jaxloss.config import default_config
from jaxloss.config.check import values_of
from jaxloss.config.file import load_config
from jaxloss.config.presets import with_preset
from jaxloss.config.schema import keys
from jaxloss.core.errors import UserError
from jaxloss.search.presets import PAPER, PRESETS, STRONG
from jaxloss.systems.registry import SYSTEMS
from tests.launch.command import run

DIGITS = "configs/autoloss_zero_digits.py"


def loaded(**overrides):
    return values_of(load_config(DIGITS, {"search.preset": STRONG, **overrides}))


def test_the_papers_change_nothing():
    config = load_config(DIGITS)
    assert config.search.preset == PAPER
    assert values_of(with_preset(config)) == values_of(config)


def test_every_value_is_one_that_its_key_takes():
    for system in SYSTEMS.values():
        for name in PRESETS:
            of_system = system.search_presets.get(name, {})
            assert {*PRESETS[name], *of_system} <= set(keys())
            config = default_config(system.name)
            config.search.preset = name
            values_of(with_preset(config))
            values_of(with_preset(with_preset(config)))


def test_a_preset_fills_what_nothing_is_said_of():
    values = loaded()
    assert values["search.seeds_per_candidate"] == PRESETS[STRONG]["search.seeds_per_candidate"]
    assert values["space.autoloss_zero.term_probability"] > 0
    # The file says another number than the default.
    own = load_config(DIGITS).search.evolution.tournament_ratio
    assert values["search.evolution.tournament_ratio"] == (own if own != 0.05 else 0.1)


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


def test_a_key_that_the_preset_wakes_may_be_given():
    assert loaded(**{"search.calibration_loss": "focal"})["search.calibration_loss"] == "focal"
    with pytest.raises(UserError, match=r"search.calibration_loss does nothing in this run"):
        load_config(DIGITS, {"search.calibration_loss": "focal"})


def test_filling_again_changes_nothing():
    config = load_config(DIGITS, {"search.preset": STRONG})
    assert values_of(with_preset(config)) == values_of(config)


def test_a_config_that_is_changed_in_python_is_filled_too(tmp_path):
    config = load_config("tests/configs/tiny.py", {"search.num_trainings": "12"})
    config.search.preset = STRONG
    config.search.calibration_trainings = 6
    config.search.control = False
    stored = jaxloss.run(config, tmp_path / "run").config
    assert stored["search"]["seeds_per_candidate"] == 3
    assert stored["search"]["calibration_trainings"] == 6


def test_a_mistyped_name_is_one_line(tmp_path, capsys):
    assert run(tmp_path / "run", "search.preset=stong") == 2
    assert "Did you mean 'strong'?" in capsys.readouterr().err
    with pytest.raises(UserError, match="stong"):
        load_config(DIGITS, {"search.preset": "stong"})
