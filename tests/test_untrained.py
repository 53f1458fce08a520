"""A metric that is no number from 0 to 1 is named before any training, and one of NaN counts as a stopped training after it."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import pytest

from jaxloss import launch
from jaxloss.core.errors import UserError
from jaxloss.execution.base import Trial
from jaxloss.execution.population import PopulationExecution
from jaxloss.execution.serial import SerialExecution
from jaxloss.runs import open_for_reading
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.check import check_untrained
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.registry import TASKS, RegisteredTask
from jaxloss.tasks.settings import TrainingSettings
from tests.errors import user_error

TASK = make_fast(FastSettings(size=40))


@pytest.mark.parametrize("value", [float("nan"), 1.5, -0.2])
def test_a_metric_that_is_no_share(value):
    with pytest.raises(UserError, match=f"must be a number from 0 to 1, and is {value:g} for the untrained network"):
        check_untrained(TASK, {"accuracy": value})
    check_untrained(TASK, {"accuracy": 1.0, "other": value})


def test_a_run_with_a_nan_metric_leaves_nothing(tmp_path, monkeypatch, capsys):
    def broken(*_):
        return dataclasses.replace(TASK, scores=lambda *_: {"accuracy": jnp.nan}, with_division=broken)

    monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, broken))
    assert launch.main(["--config=tests/configs/tiny.py", f"--workdir={tmp_path / 'run'}", "--config.mode=search"]) == 2
    assert "the metric 'accuracy' of the task fast must be a number from 0 to 1, and is nan" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "make", [SerialExecution, lambda task, settings: PopulationExecution(task, settings, lanes=2)], ids=["serial", "vmap"]
)
def test_the_look_at_an_untrained_network_compiles_nothing_of_its_own(make):
    chex.clear_trace_counter()
    once = {name: chex.assert_max_traces(getattr(TASK, name), n=1) for name in ("init", "scores")}
    task = dataclasses.replace(TASK, **once)
    focal = family("focal")
    execution = make(dataclasses.replace(task, with_division=lambda seed: task), TrainingSettings(batch_size=10, num_epochs=1))
    scores = execution.untrained_scores(0, 0)
    list(execution.run([Trial(focal, focal.encode(focal.defaults), 0.1, 0, 0, SEARCH_EVAL)]))
    execution.close()
    variables = jax.jit(TASK.init)(jax.random.split(jax.random.key(0))[0])
    assert scores == pytest.approx({"accuracy": float(TASK.scores(variables, TASK.data[SEARCH_EVAL])["accuracy"])})


def test_a_nan_metric_of_a_finite_training_counts_as_stopped(tmp_path, monkeypatch, capsys):
    """The untrained network is scored, a trained one is not."""

    def brittle(*_):
        def scores(variables, examples):
            moved = jnp.any(variables["params"]["bias"] != 0)
            return {"accuracy": jnp.where(moved, jnp.nan, TASK.scores(variables, examples)["accuracy"])}

        return dataclasses.replace(TASK, scores=scores, with_division=brittle)

    monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, brittle))
    arguments = ["--config=tests/configs/tiny.py", f"--workdir={tmp_path / 'run'}", "--config.mode=train"]
    assert launch.main([*arguments, "--config.loss=cross_entropy", "--config.quiet=false"]) == 0
    output = capsys.readouterr()
    assert "4 of 4 trainings met NaN or infinity" in output.out
    assert "cross_entropy NaN" in output.out + output.err
    with open_for_reading(tmp_path / "run") as run:
        assert run.read_summary()["stopped_by_nan"] == 4
        assert {(row.score, row.finite) for row in run.archive.trainings()} == {(None, False)}


@pytest.mark.parametrize("row", [-1, 40])
@pytest.mark.parametrize(
    "make", [SerialExecution, lambda task, settings: PopulationExecution(task, settings, lanes=2)], ids=["serial", "vmap"]
)
def test_a_row_that_there_is_not_is_named(make, row):
    """JAX would read the last one in its place."""

    def order(key, train):
        return jax.random.permutation(key, 40).at[7].set(row)

    def other(division):
        return dataclasses.replace(TASK, order=order, with_division=other)

    execution = make(other(0), TrainingSettings(batch_size=10, num_epochs=1))
    with pytest.raises(UserError, match=f"order of the task fast gives the row {row}, and there are rows 0 to 39"):
        execution.untrained_scores(0, 0)
    execution.close()


def test_a_batch_that_is_more_than_an_epoch_is_said(tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["--config=tests/configs/tiny.py", "--config.mode=train", "--config.loss=cross_entropy", f"--workdir={run}"]
    assert launch.main([*arguments, "--config.training.batch_size=1000", "--config.quiet=False"]) == 0
    assert "training.batch_size=1000: an epoch of the task fast has " in capsys.readouterr().err


def test_the_range_of_the_metric_is_looked_at_after_each_training():
    """What an untrained network gives is in order here: its bias is 0."""

    def scores(variables, examples):
        return {"accuracy": 0.5 + 100 * jnp.sum(variables["params"]["bias"] ** 2)}

    task = dataclasses.replace(TASK, scores=scores)
    execution = SerialExecution(task, TrainingSettings(batch_size=10, num_epochs=2), workers=1)
    check_untrained(task, execution.untrained_scores(0, 0))
    trial = Trial(family("mae"), {}, 0.5, 0, 0, SEARCH_EVAL)
    with user_error("the metric 'accuracy' of the task fast must be a number from 0 to 1, and is", "for a trained network"):
        list(execution.run([trial]))
    execution.close()
