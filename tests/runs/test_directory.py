"""The directory of a run: made, read and resumed, by the config that it was begun with."""

import json
import math
import os

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.runs import (
    RunDirectory,
    json_text,
    open_for_reading,
)
from jaxloss.runs.metrics import metric_line
from tests.errors import user_error
from tests.runs.contents import CONFIG, candidate


def test_a_run_is_made_read_and_resumed(tmp_path):
    path = tmp_path / "deep" / "run"
    with RunDirectory.open(path, CONFIG, may_change=()) as run:
        assert not run.resumed
        line = metric_line(0, {"score": 0.5})
        run.archive.commit([candidate(0)], state={"next": 1}, metrics=[line])
        run.metrics.write(line)
        run.checkpoints.save("x", {"a": jnp.zeros(1)})
        assert run.read_summary() is None
        run.write_summary({"best": 0.1 + 0.2})
        with open_for_reading(path) as reader:
            # A report may be made while the run goes on.
            assert reader.archive.candidates() == [candidate(0)]
    with RunDirectory.open(path, CONFIG, may_change=()) as run:
        assert run.resumed
        assert run.archive.state("next") == 1
        assert run.metrics.last_step == 0
        run.write_summary({"best": 0.5})
    with open_for_reading(path) as reader:
        assert reader.config == {"search": {"name": "evolution", "num_trainings": 10, "rates": [0.1, 0.001]}, "seed": 0}
        assert reader.read_summary() == {"best": 0.5}
        assert reader.checkpoints.names() == ["x"]
        assert [line["score"] for line in reader.read_metrics()] == [0.5]
    expected = {"config.json", "archive.sqlite", "metrics.jsonl", "tensorboard", "checkpoints", "summary.json", "run.lock"}
    assert set(os.listdir(path)) == expected


HALF_A_CONFIG = f".config.json.{32 * 'a'}.tmp"


def changed(**keys):
    return {**CONFIG, "search": {**CONFIG["search"], **keys.pop("search", {})}, **keys}


def begin(path, config):
    """A run that has something in its archive: from then on its config is fixed."""
    with RunDirectory.open(path, config) as run:
        run.archive.commit(candidates=[candidate(0)])


def test_a_run_that_has_done_nothing_takes_a_corrected_config(tmp_path):
    RunDirectory.open(tmp_path, CONFIG).close()
    RunDirectory.open(tmp_path, changed(seed=7)).close()
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 7


def test_the_first_forbidden_difference_is_named(tmp_path):
    begin(tmp_path, CONFIG)
    before = (tmp_path / "config.json").read_bytes()
    other = changed(search={"name": "random_search", "num_trainings": 20})
    with user_error("search.name", '"evolution"', '"random_search"', "--workdir", str(tmp_path)):
        RunDirectory.open(tmp_path, other)
    # A key of the run as a whole is named before those that may follow from it.
    other = changed(seed=7, search={"name": "random_search", "num_trainings": 20})
    with user_error("seed = 0, not 7", "--workdir", str(tmp_path)):
        RunDirectory.open(tmp_path, other, may_change=("search.num_trainings",))
    with user_error("seed = 0", "not 7"):
        RunDirectory.open(tmp_path, other, may_change=("search",))
    with user_error("seed", "1.0", "put back seed = 0"):
        RunDirectory.open(tmp_path, changed(seed=1.0))
    with user_error("extra", "(not set)", "leave extra out"):
        RunDirectory.open(tmp_path, changed(extra=[1]))
    with user_error("search.name", '"evolution"', "(not set)"):
        RunDirectory.open(tmp_path, {**CONFIG, "search": {}})
    with user_error("seed = 0", "(not set)"):
        RunDirectory.open(tmp_path, {"search": CONFIG["search"]})
    with user_error("search.num_trainings"):
        # A key that may change is a whole key, not the beginning of one.
        RunDirectory.open(tmp_path, changed(search={"num_trainings": 20}), may_change=("search.num", "sea"))
    assert (tmp_path / "config.json").read_bytes() == before
    RunDirectory.open(tmp_path, CONFIG).close()


def test_nan_and_tuples_in_a_config_equal_themselves(tmp_path):
    config = {"threshold": math.nan, "sizes": (1, 2), "empty": {}, "rate": np.float32(0.1)}
    begin(tmp_path, config)
    with RunDirectory.open(tmp_path, config) as run:
        assert run.resumed
    with user_error("empty"):
        RunDirectory.open(tmp_path, {**config, "empty": {"x": 1}})


def test_allowed_differences_are_stored_and_the_old_values_kept(tmp_path):
    begin(tmp_path, changed(search={"num_trainings": 10}))
    for number in (10, 20, 30):
        with RunDirectory.open(tmp_path, changed(search={"num_trainings": number}), may_change=["search.num_trainings"]) as run:
            assert run.config["search"]["num_trainings"] == number
    with open_for_reading(tmp_path) as reader:
        assert reader.config["search"]["num_trainings"] == 30
    history = json.loads((tmp_path / "config_history.json").read_text())
    assert [(entry["key"], entry["was"], entry["now"]) for entry in history] == [
        ("search.num_trainings", 10, 20),
        ("search.num_trainings", 20, 30),
    ]


@pytest.mark.parametrize(
    "left",
    [
        ("run.lock", HALF_A_CONFIG),
        ("run.lock", "config.json"),
        ("run.lock", "config.json", "archive.sqlite"),
        ("run.lock", "config.json", "archive.sqlite", "archive.sqlite-journal"),
    ],
)
def test_what_a_run_leaves_that_was_killed_as_it_began_is_its_own(tmp_path, left):
    contents = {
        "config.json": json_text.dumps(CONFIG),
        HALF_A_CONFIG: '{"se',
        "run.lock": "1 on host\n",
    }
    for name in left:
        (tmp_path / name).write_text(contents.get(name, ""))
    with RunDirectory.open(tmp_path, changed(seed=7)) as run:
        assert run.config["seed"] == 7
    assert not (tmp_path / HALF_A_CONFIG).exists()
