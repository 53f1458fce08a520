"""A run of an earlier version goes on with what it was begun with, where its config leaves a key open."""

import pytest

from jaxloss.config import default_config
from jaxloss.config.drawn import drawn_config
from jaxloss.config.going_on import values_of_the_run, with_values_of_the_run
from jaxloss.config.presets import with_preset
from jaxloss.config.schema import MAY_CHANGE, upgraded
from jaxloss.runs import RunDirectory, open_for_reading
from tests.errors import user_error
from tests.launch.command import run
from tests.runs.contents import candidate

RATE = "filters.rejection.learning_rate"
# An earlier version took the printed rate on logits, too.
EARLIER = {"filters.rejection.variable": "logits", RATE: 0.001}


def config_with(changes):
    config = default_config()
    config.update_from_flattened_dict(changes)
    return config


def begin(path, changes=EARLIER):
    with RunDirectory.open(path, drawn_config(with_preset(config_with(changes))).to_dict()) as directory:
        directory.archive.commit([candidate(1)])


def go_on(path, changes):
    config = config_with(changes)
    of_run = values_of_the_run(config, path)
    config = drawn_config(with_preset(with_values_of_the_run(config, of_run), of_run=of_run))
    with RunDirectory.open(path, config.to_dict(), MAY_CHANGE, upgraded) as directory:
        assert directory.resumed
    return config


def test_what_is_left_open_is_that_of_the_run(tmp_path):
    begin(tmp_path / "run")
    config = go_on(tmp_path / "run", {"filters.rejection.variable": "logits"})
    assert config.filters.rejection.learning_rate == 0.001
    assert config.comparison.divisions == (0, 1)


@pytest.mark.parametrize("key", ["comparison.divisions", "task.classification.noise_seed"])
def test_so_are_numbers_that_an_earlier_version_drew(tmp_path, key):
    value = (7, 8) if key == "comparison.divisions" else 5
    begin(tmp_path / "run", {key: value})
    assert go_on(tmp_path / "run", {}) == drawn_config(config_with({key: value}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({**EARLIER, RATE: 0.01}, f"{RATE} = 0.001, not 0.01"),
        ({"filters.rejection.variable": "probability", RATE: 0.002}, RATE),
        ({}, 'filters.rejection.variable = "logits", not "probability"'),
        ({"filters.rejection.variable": "logits", "filters.rejection.iterations": 400}, "filters.rejection"),
        ({"filters.rejection.variable": "logits", "seed": 1}, "seed = 0, not 1"),
    ],
)
def test_what_is_asked_for_by_name_is_not_put_aside(tmp_path, changes, says):
    begin(tmp_path / "run")
    with user_error(says):
        go_on(tmp_path / "run", changes)


def test_without_a_run_that_has_begun_nothing_changes(tmp_path):
    config = config_with({"filters.rejection.variable": "logits"})
    assert values_of_the_run(config, tmp_path / "none") == {}
    with RunDirectory.open(tmp_path / "empty", drawn_config(config_with(EARLIER)).to_dict()):
        pass
    assert values_of_the_run(config, tmp_path / "empty") == {}
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "archive.sqlite").write_text("no archive")
    assert values_of_the_run(config, tmp_path / "damaged") == {}
    assert with_values_of_the_run(config, {}) == config


def test_a_preset_stays_what_it_was_in_a_smaller_budget(tmp_path):
    """A calibration of 30 trainings does not fit into 12."""
    begin(tmp_path / "run", {"search.preset": "strong", "search.num_trainings": 12})
    config = go_on(tmp_path / "run", {"search.preset": "strong", "search.num_trainings": 60})
    assert (config.search.num_trainings, config.search.calibration_trainings) == (60, 0)
    assert config.search.seeds_per_candidate == 3


def test_a_preset_stays_that_of_an_earlier_version(tmp_path):
    begin(tmp_path / "run", {"search.preset": "strong", "search.evolution.immigrants": 0.3})
    assert go_on(tmp_path / "run", {"search.preset": "strong"}).search.evolution.immigrants == 0.3
    with user_error("search.evolution.immigrants = 0.3, not 0.2"):
        go_on(tmp_path / "run", {"search.preset": "strong", "search.evolution.immigrants": 0.2})
    with user_error("and it cannot change"):
        go_on(tmp_path / "run", {})


@pytest.mark.slow
def test_the_command_of_an_earlier_version_goes_on(tmp_path):
    """And a new run of the same command has the rate of today."""
    command = (
        *("task.name=classification", "task.classification.source=digits", "training.num_epochs=1.0", "search.control=false"),
        *("filters.rejection.variable=logits", "filters.rejection.iterations=20", "filters.rejection.minimum_gain=0.0"),
    )

    def rate(*changes, flags=()):
        assert run(tmp_path / "run", *command, *changes, flags=flags) == 0
        with open_for_reading(tmp_path / "run") as opened:
            return opened.config["filters"]["rejection"]["learning_rate"], opened.read_summary()["counts"]["trained"]

    assert rate(f"{RATE}=0.001", "search.num_trainings=3") == (0.001, 3)
    assert rate(f"{RATE}=0.0", "search.num_trainings=4") == (0.001, 4)
    assert rate(f"{RATE}=0.0", "search.num_trainings=3", flags=["--restart"]) == (0.01, 3)
