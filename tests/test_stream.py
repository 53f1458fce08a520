"""Training data that are read batch by batch: the same results as from data on the device, bit for bit."""

import dataclasses
import threading

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss import launch
from jaxloss.config.schema import default_config
from jaxloss.config.wiring import make_task
from jaxloss.core.errors import UserError
from jaxloss.execution.base import Trial
from jaxloss.execution.choice import ExecutionFactory, Parallelism, choose
from jaxloss.execution.data_parallel import DataParallelExecution
from jaxloss.execution.population import PopulationExecution
from jaxloss.execution.serial import SerialExecution
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL, TRAIN
from jaxloss.tasks.check import check_task, on_division
from jaxloss.tasks.classification import make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.data.stream import ArrayRows, StreamedRows
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.settings import TrainingSettings
from tests.compilations import counted

FOCAL = family("focal")
SETTINGS = TrainingSettings(batch_size=10, num_epochs=2.5, warmup_epochs=1.0)
SCALED = dataclasses.replace(SETTINGS, loss_scale="unit_gradient")
needs_devices = pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")


def noisy(batch, key):
    return {**batch, "point": batch["point"] + 0.1 * jax.random.normal(key, batch["point"].shape)}


def on_device(seed=0):
    return dataclasses.replace(make_fast(FastSettings(size=45)).with_division(seed), augment=noisy, with_division=on_device)


def arrays(task):
    return {name: np.asarray(array) for name, array in task.data[TRAIN].items()}


def streamed(seed=0, wrap=ArrayRows, **options):
    task = on_device(seed)
    train = StreamedRows.create(wrap(arrays(task)), **options)
    return dataclasses.replace(task, data={**task.data, TRAIN: train}, with_division=lambda seed: streamed(seed, wrap, **options))


class OneByOne:
    """Rows that can only be read one at a time, in types that no device has."""

    def __init__(self, arrays):
        self.arrays = arrays

    def __len__(self):
        return len(self.arrays["label"])

    def __getitem__(self, row):
        return {"point": self.arrays["point"][row].astype(np.float64), "label": self.arrays["label"][row].astype(np.int64)}


def trial(start=0, num_steps=None, gamma=2.0, division=0):
    return Trial(FOCAL, FOCAL.encode({"gamma": gamma}), 0.3, start, division, SEARCH_EVAL, num_steps, keep_end=True)


def run(execution, *trials):
    return [outcome for outcome, _ in execution.run(trials)]


def serial(task, settings=SETTINGS, workers=1):
    return SerialExecution(task, settings, workers, "steps")


def assert_equal(found, expected):
    assert (found.steps, found.finite, found.scores) == (expected.steps, expected.finite, expected.scores)
    chex.assert_trees_all_equal(found.end, expected.end)


def end(*executions):
    for execution in executions:
        execution.close()


# --- the same results ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[SETTINGS, SCALED], ids=["as_is", "unit_gradient"])
def settings(request):
    return request.param


@pytest.fixture(scope="module")
def device_execution(settings):
    execution = serial(on_device(), settings)
    yield execution
    execution.close()


@pytest.mark.parametrize("wrap", [ArrayRows, OneByOne])
@pytest.mark.parametrize("num_threads", [0, 2])
def test_streamed_data_train_as_data_on_the_device(device_execution, settings, wrap, num_threads):
    """Two seeds and divisions, and one that meets NaN; then resumed in the middle of an epoch, by either."""
    execution = serial(streamed(wrap=wrap, num_threads=num_threads), settings, workers=2)
    trials = [trial(), trial(1, division=1), trial(2, gamma=np.nan)]
    expected = run(device_execution, *trials)
    for found, wanted in zip(run(execution, *trials), expected, strict=True):
        assert_equal(found, wanted)
    for first, second in ((execution, execution), (device_execution, execution), (execution, device_execution)):
        (begun,) = run(first, trial(num_steps=6))
        (middle,) = run(second, trial(begun.end, 1))
        (found,) = run(second, trial(middle.end))
        assert_equal(found, expected[0])
    with counted() as compiled:
        run(execution, trial(5), trial(begun.end))
    end(execution)
    assert not compiled
    assert execution.compilations == {"training focal": 1}


@pytest.mark.slow
@needs_devices
def test_a_batch_on_two_devices_may_be_streamed():
    first, second = (DataParallelExecution(task, SCALED, 2, 1, "steps") for task in (on_device(), streamed()))
    (wanted,), (found,), (begun,) = run(first, trial()), run(second, trial()), run(second, trial(num_steps=5))
    assert_equal(found, wanted)
    assert_equal(run(second, trial(begun.end))[0], wanted)
    end(first, second)


def test_files_on_disk_are_mapped(tmp_path):
    task = on_device()
    paths = {name: tmp_path / f"{name}.npy" for name in arrays(task)}
    for name, array in arrays(task).items():
        np.save(paths[name], array)
    from_files = dataclasses.replace(task, data={**task.data, TRAIN: StreamedRows.create(ArrayRows.from_npy_files(paths))})
    first, second = serial(task), serial(dataclasses.replace(from_files, with_division=lambda seed: from_files))
    assert_equal(run(second, trial())[0], run(first, trial())[0])
    end(first, second)


def digits(**options):
    limits = {"train_limit": 48, "search_eval_limit": 40, "test_limit": 40}
    noise = {"noise_kind": "symmetric", "noise_rate": 0.2}
    return make_classification(ClassificationSettings(augmentation="crop_flip", **noise, **limits, **options))


def test_a_classification_task_trains_both_ways():
    tasks = [digits(training_data=name) for name in ("device", "streamed")]
    executions = [serial(task, TrainingSettings(batch_size=16, num_epochs=2)) for task in tasks]
    expected, found = (run(execution, trial(), trial(division=1)) for execution in executions)
    for one, wanted in zip(found, expected, strict=True):
        assert_equal(one, wanted)
    (begun,) = run(executions[1], trial(num_steps=2))
    assert_equal(run(executions[1], trial(begun.end))[0], expected[0])
    end(*executions)
    # The rejection protocol draws the same samples.
    key = jax.random.key(3)
    problems = [
        task.problems["predictions"](jax.jit(task.init)(key), task.data[TRAIN], key, 5)["classification"] for task in tasks
    ]
    np.testing.assert_array_equal(problems[0].start, problems[1].start)
    chex.assert_trees_all_equal(problems[0].context, problems[1].context)


def test_the_checks_look_at_streamed_rows():
    task = digits(training_data="streamed")
    check_task(task, reads={"classification": ("prediction", "target")}, num_samples=5)
    check_task(on_division(task, 1))
    wide = dataclasses.replace(on_device(), with_division=lambda seed: streamed())
    check_task(on_division(wide, 1))
    lost = StreamedRows.create(ArrayRows({"point": np.zeros((45, 2), np.float32)}))
    other = dataclasses.replace(on_device(), data={**on_device().data, TRAIN: lost})
    with pytest.raises(UserError, match=r"must give the same arrays: int32\[45\] as data\['train'\]\['label'\] was expected"):
        on_division(dataclasses.replace(on_device(), with_division=lambda seed: other), 1)


def test_streaming_is_a_key_of_the_config():
    config = default_config()
    assert not isinstance(make_task(config).data[TRAIN], StreamedRows)
    config.task.classification.training_data = "streamed"
    assert isinstance(make_task(config).data[TRAIN], StreamedRows)
    with pytest.raises(UserError, match=r"unknown.*training_data.*'steamed'. Did you mean 'streamed'"):
        ClassificationSettings(training_data="steamed")


# --- an order of the task's own ------------------------------------------------------------------------------------------------


def by_label(key, train):
    """Whole batches of one label after the other."""
    return jnp.argsort(train["label"] + jax.random.uniform(key, train["label"].shape) * 0.5)[:40]


def test_an_order_reads_resident_arrays():
    task = dataclasses.replace(on_device(), order=by_label)
    train = StreamedRows.create(ArrayRows(arrays(task)), resident={"label": arrays(task)["label"]})
    other = dataclasses.replace(task, data={**task.data, TRAIN: train})
    first, second = (serial(dataclasses.replace(one, with_division=lambda seed, one=one: one)) for one in (task, other))
    (wanted,), (found,) = run(first, trial()), run(second, trial())
    assert found.steps == 10
    assert_equal(found, wanted)
    end(first, second)


def test_an_order_that_reads_what_is_not_resident_is_one_line():
    execution = serial(dataclasses.replace(streamed(), order=by_label, with_division=lambda seed: streamed()))
    with pytest.raises(UserError, match=r"the order of the task fast reads the array 'label'.*resident.*beside \['row'\]"):
        run(execution, trial())
    end(execution)


# --- reading ahead -------------------------------------------------------------------------------------------------------------


class Counting(ArrayRows):
    """Says which rows were read."""

    def __init__(self, arrays):
        super().__init__(arrays)
        self.read = []

    def __getitems__(self, rows):
        self.read.append(list(rows))
        return super().__getitems__(rows)


def test_rows_are_read_in_the_order_of_the_state():
    task = streamed(wrap=Counting, num_threads=0)
    execution, source = serial(dataclasses.replace(task, with_division=lambda seed: task)), task.data[TRAIN].source
    assert set(execution.data(0)[TRAIN].shapes) == {"point", "label"}
    source.read.clear()  # what the check of the division has looked at, and the shapes that all batches have to have
    (outcome,) = run(execution, trial(num_steps=6))
    orders = outcome.end.state.orders
    epochs = orders[:, :40].reshape(-1, 10)
    np.testing.assert_array_equal(source.read, epochs[:6])
    source.read.clear()
    run(execution, trial(outcome.end))
    end(execution)
    np.testing.assert_array_equal(source.read, epochs[6:10])


def test_reading_ends_with_the_training():
    """Also where it is stopped by NaN; no more batches are read than the device may wait for."""
    task = streamed(wrap=Counting, num_threads=2, prefetch=2)
    long = dataclasses.replace(SETTINGS, num_epochs=200)
    execution = serial(dataclasses.replace(task, with_division=lambda seed: task), long)
    (outcome,) = run(execution, trial(gamma=np.nan))
    end(execution)
    assert (outcome.steps, outcome.finite) == (0, False)
    assert len(task.data[TRAIN].source.read) < 100
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("grain")]


# --- where data have to lie on the device --------------------------------------------------------------------------------------


def test_a_command_refuses_it_before_a_directory_is_made(tmp_path, capsys):
    command = ["--config=configs/quickstart.py", f"--workdir={tmp_path / 'run'}", "--config.execution.mode=vmap"]
    assert launch.main([*command, "--config.task.classification.training_data=streamed"]) == 2
    assert capsys.readouterr().err.startswith("error: execution.mode=vmap and pmap need the training data on the device")
    assert not (tmp_path / "run").exists()


def test_a_population_refuses_streamed_data():
    task, examples = streamed(), [trial()]
    message = r"execution.mode=vmap and pmap need the training data on the device.*fast are streamed: choose serial"
    with pytest.raises(UserError, match=message):
        PopulationExecution(task, SETTINGS, 2)
    with pytest.raises(UserError, match=message):
        choose("vmap", 2, None, examples, ExecutionFactory(task, SETTINGS))
    with pytest.raises(UserError, match=r"execution.dispatch=whole needs the training data on the device.*choose steps or auto"):
        run(SerialExecution(task, SETTINGS, 1, "whole"), trial())


def test_automatic_choices_are_serial(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert choose("auto", 0, None, [trial()], ExecutionFactory(streamed(), SETTINGS))[0] == Parallelism("serial")
