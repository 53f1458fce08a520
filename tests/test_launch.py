"""The command line: what a user can get wrong ends in one line on stderr, exit code 2, and leaves nothing behind."""

import dataclasses
import gc
import json
import math
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxloss import export, launch
from jaxloss.config import default_config
from jaxloss.config.check import check_config
from jaxloss.config.overrides import apply_overrides
from jaxloss.config.unknown_keys import WHERE
from jaxloss.core import interrupts
from jaxloss.core.errors import UserError
from jaxloss.execution.serial import SerialExecution
from jaxloss.report import __main__ as report
from jaxloss.runs import open_for_reading
from jaxloss.tasks.base import STORED_RANGES
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.registry import TASKS, RegisteredTask

REPOSITORY = Path(__file__).parents[1]
TINY = "tests/configs/tiny.py"
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.delenv("JAXLOSS_DATA_DIR", raising=False)


def run(workdir, *overrides, config=TINY):
    arguments = [f"--config={config}", f"--workdir={workdir}", *(f"--config.{override}" for override in overrides)]
    return launch.main(arguments)


@pytest.fixture
def refused(tmp_path, capsys):
    """Runs with overrides that are wrong; returns the one line."""

    def call(*overrides, config=TINY, workdir=None):
        workdir = tmp_path / "run" if workdir is None else workdir
        assert run(workdir, *overrides, config=config) == 2
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("error: ")
        assert captured.out == ""
        assert not Path(workdir).exists() or Path(workdir).is_file()
        return lines[0]

    return call


# --- arguments and config files ----------------------------------------------------------------------------------------------


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
        (["--config=tests/test_launch.py"], "needs a function get_config()"),
    ],
)
def test_arguments(capsys, arguments, says):
    assert launch.main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


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


# --- keys and values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("search.num_training=5", "unknown config key 'search.num_training'. Did you mean 'search.num_trainings'?"),
        ("search.num_trainings=many", "--config.search.num_trainings takes a value of type int like 6, not 'many'"),
        ("search.num_trainings=1.5", "takes a value of type int"),
        ("search.num_trainings=0", "search.num_trainings must be at least 1, not 0"),
        ("training.learning_rate=fast", "takes a value of type float"),
        ("search.control=maybe", "takes true or false"),
        ("mode=find", "unknown mode 'find'. Choices: compare, search, train"),
        ("task.name=fastt", "unknown task 'fastt'. Did you mean 'fast'? Choices: classification, fast, module:factory"),
        ("space.name=autoloss", "unknown space 'autoloss'. Did you mean 'autoloss_gms'?"),
        ("search.name=evolve", "unknown search 'evolve'. Did you mean 'evolution'? Choices: evolution, random_search"),
        ("comparison.handcrafted=crossentropy", "unknown hand-crafted loss 'crossentropy'. Did you mean 'cross_entropy'?"),
        (
            "training.schedule=linear",
            "unknown training.schedule 'linear'. Did you mean 'cosine'? Choices: constant, cosine, polynomial",
        ),
        ("training.schedule=steps", "training.schedule=steps needs the epochs of its steps: training.step_epochs"),
        ("training.step_epochs=(2.0,)", "training.step_epochs need training.schedule=steps, not cosine"),
        ("training.warmup_epochs=50.0", "training.warmup_epochs (50) must end before the training does: training.num_epochs is"),
        ("training.frozen_epochs=50.0", "training.frozen_epochs (50) must end before the training does"),
        (
            "training.frozen_epochs=0.5",
            "training.frozen_epochs needs a network with a backbone, and that of the task fast",
        ),
        ("search.evolution.tournament_ratio=0.0", "config key search.evolution.tournament_ratio must be at least 1e-09, not 0.0"),
        ("training.step_epochs=('late',)", "training.step_epochs takes numbers of epochs, not ('late',)"),
        ("task.retrieval.pixel_deviation=0.0", "config key task.retrieval.pixel_deviation must be above 0, not 0.0"),
        ("task.retrieval.pixel_deviation=(0.2, -1.0, 0.2)", "task.retrieval.pixel_deviation must be above 0"),
        ("comparison.divisions=()", "comparison.divisions must name different divisions"),
        ("comparison.divisions=('a',)", "--config.comparison.divisions takes a value of type tuple like"),
        ("training.batch_size=0", "config key training.batch_size must be at least 1, not 0"),
        ("training.momentum=2.0", "config key training.momentum must be at most 1.0, not 2.0"),
        ("execution.workers=-1", "config key execution.workers must be at least 0"),
        ("execution.dispatch=one", "unknown execution.dispatch 'one'."),
        ("search.seeds_per_candidate=7", "search.num_trainings (6) is not enough for one candidate"),
        ("seed=-1", "config key seed must be at least 0"),
        ("filters.rejection.num_samples=0", "filters.rejection.num_samples must be at least 1"),
        ("training.num_epochs=1e999", "config key training.num_epochs must be at most 10000.0, not inf"),
        ("training.num_epochs=1e9", "config key training.num_epochs must be at most 10000.0, not 1000000000.0"),
        ("training.warmup_epochs=1e999", "config key training.warmup_epochs must be at most"),
        ("training.learning_rate=1e999", "config key training.learning_rate must be at most"),
        ("comparison.margin=1e999", "config key comparison.margin must be at most 1.0"),
        ("filters.rejection.iterations=100000000000", "filters.rejection.iterations must be at most 1000000"),
        ("filters.rejection.learning_rate=0", "filters.rejection.learning_rate must be at least 1e-12, not 0.0"),
        ("filters.rejection.momentum=1.0", "filters.rejection.momentum must be at most 0.999999, not 1.0"),
        ("space.autoloss_zero.branch_weights=(1e999,)", "branch_weights must hold finite numbers above 0, not (inf,)"),
        ("space.autoloss_zero.branch_weights=(-1.0,)", "branch_weights must hold finite numbers above 0, not (-1.0,)"),
        ("task.classification.pixel_mean=1e999", "config key task.classification.pixel_mean must be finite, not inf"),
        ("task.classification.pixel_deviation=1e999", "task.classification.pixel_deviation must be finite, not inf"),
        ("space.autoloss_zero.branch_weights=(1.0, 2.0)", "has 1 branches and 2 branch_weights"),
        ("search.seeds=(1,)", "config key search.seeds takes formulas, not 1"),
        ("task.name=no_such_module:make", "cannot import the task 'no_such_module:make'"),
        ("task.name=:make", "cannot import the task ':make'"),
        ("task.name=jaxloss.tasks.fast:absent", "the module 'jaxloss.tasks.fast' has no 'absent'"),
        ("task.name=jaxloss.tasks.fast:NUM_CLASSES", "the options of the task 'jaxloss.tasks.fast:NUM_CLASSES' do not fit"),
        ("task.name=builtins:dict", "the task 'builtins:dict' gave a dict, not a Task"),
        ("space.autoloss_zero.branches=regression", "has a branch 'regression', the task fast has ['classification']"),
        ("search.seeds=Neg(Mul(target, Lag(prediction)))", "bad formula at character 17: unknown operator 'Lag'"),
        ("search.seeds=Neg(Mul(target, Log(prediction))", "bad formula at character 33: expected ')' but found 'the end'"),
    ],
)
def test_values(refused, override, says):
    assert says in refused(override)


@pytest.mark.parametrize("value", [math.nan, None, "5"])
def test_a_range_holds_numbers_only(value):
    config = default_config()
    with config.ignore_type():
        config.training.num_epochs = value
    with pytest.raises(UserError, match=r"training\.num_epochs must be a number from 1e-06 to 10000\.0, not "):
        check_config(config)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("mode=train",), "mode=train needs --config.loss"),
        (("mode=train", "loss=focall"), "unknown loss 'focall'. Did you mean 'focal'?"),
        (("mode=train", "loss=Neg(prediktion)"), "bad formula at character 5: unknown input 'prediktion'"),
        (("mode=train", "loss=Neg(prediction, target)"), "bad formula at character 1: Neg takes 1 operand, not 2"),
        (
            ("mode=compare", f"losses=('{CROSS_ENTROPY}', 'Neg(Mul(Log(prediction),  target))')"),
            f"names one loss twice: '{CROSS_ENTROPY}' and 'Neg(Mul(Log(prediction),  target))' are the same graph",
        ),
        (
            ("search.name=random_search", f"search.seeds=('{CROSS_ENTROPY}',)"),
            "config key search.seeds does nothing in this run: it is read by search.name=evolution, and this run has "
            "search.name=random_search",
        ),
        (("mode=compare", "losses=()"), "mode=compare needs --config.losses"),
        (("mode=compare", f"losses=('{CROSS_ENTROPY}', 'Add(target)')"), "Add takes 2 operands, not 1"),
        (("mode=train", "loss=focal", "space.autoloss_zero.branches=other"), "has a branch 'other'"),
    ],
)
def test_losses(refused, overrides, says):
    assert says in refused(*overrides)


def test_inputs_that_the_task_does_not_offer(refused, monkeypatch):
    """A graph space and a hand-crafted loss on a task without their inputs."""

    def without(name):
        task = make_fast()
        return dataclasses.replace(
            task,
            offers={"classification": tuple(one for one in ("prediction", "target", "logits") if one != name)},
            ranges={},
            with_division=lambda seed: without(name),
        )

    for missing, who in (("target", "the space autoloss_zero"), ("logits", "the hand-crafted loss 'cross_entropy'")):
        monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, lambda *_, missing=missing: without(missing)))
        assert f"{who} needs the input '{missing}'" in refused()


def test_a_task_without_examples(refused):
    assert "the task fast has no examples in its split 'train'" in refused("task.fast.size=0")


@pytest.mark.parametrize(
    ("ranges", "says"),
    [
        ({"classification": {"predicton": (0, 1)}}, "gives a range for 'predicton' of 'classification', which it does not offer"),
        ({"regression": {"prediction": (0, 1)}}, "gives a range for 'prediction' of 'regression', which it does not offer"),
        ({"classification": {"target": (1, 0)}}, "must be (low, high) with low < high, not (1, 0)"),
        ({"classification": {"target": 1}}, "must be (low, high) with low < high, not 1"),
    ],
)
def test_a_task_with_ranges_that_are_none(refused, monkeypatch, ranges, says):
    wrong = dataclasses.replace(make_fast(), ranges=ranges, with_division=lambda seed: wrong)
    monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, lambda *_: wrong))
    assert says in refused()


def test_a_task_whose_arrays_differ_in_length(refused, monkeypatch):
    task = make_fast()
    test = {**task.data["test"], "label": task.data["test"]["label"][1:]}
    broken = dataclasses.replace(task, data={**task.data, "test": test}, with_division=lambda seed: broken)
    monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, lambda *_: broken))
    assert "the arrays of the split 'test' of the task fast have different lengths: [59, 60]" in refused()


# --- data --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("source=digit", "unknown data source 'digit'. Did you mean 'digits'?"),
        ("source=npz:absent.npz", "no data file 'absent.npz': looked for "),
        ("model=mpl", "unknown"),
        ("noise_kind=loud", "loud"),
        ("noise_rate=2.0", "2.0"),
        ("fractions=(0.5, 0.5, 0.5)", "sum to 1"),
        ("augmentation=flip", "unknown task.classification.augmentation 'flip'"),
    ],
)
def test_classification_task(refused, override, says):
    assert says in refused("task.name=classification", f"task.classification.{override}")


@pytest.mark.parametrize("content", [b"", b"not an archive", "cut"])
def test_a_broken_data_file(refused, tmp_path, content):
    file = tmp_path / "broken.npz"
    if content == "cut":
        np.savez(file, train_images=np.zeros((20, 4, 4), np.uint8), train_labels=np.arange(20) % 2)
        content = file.read_bytes()[:-100]
    file.write_bytes(content)
    assert not zipfile.is_zipfile(file)
    assert str(file) in refused("task.name=classification", f"task.classification.source=npz:{file}")


def test_the_folder_of_compiled_programs(refused, tmp_path):
    (tmp_path / "file").write_text("")
    line = refused(f"compilation_cache={tmp_path / 'file' / 'cache'}")
    assert "cannot make the folder" in line
    assert "--config.compilation_cache" in line


def test_compiled_programs_are_kept(tmp_path):
    """A new process finds them."""
    script = (
        "import jax, jaxloss.cli.compilation_cache as cache\n"
        "cache.LEAST_SECONDS = 0\n"
        "hits = []; jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))\n"
        f"cache.use_compilation_cache({str(tmp_path / 'cache')!r})\n"
        "jax.jit(lambda x: jax.numpy.sin(x) * 3)(1.0)\n"
        "print(hits.count('/jax/compilation_cache/cache_hits'))\n"
    )
    counts = [
        int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=True).stdout)
        for _ in range(2)
    ]
    assert counts[0] == 0
    assert counts[1] > 0


# --- the work directory ------------------------------------------------------------------------------------------------------


def test_a_work_directory_below_a_file(refused, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot use work directory" in refused(workdir=tmp_path / "file" / "run")
    assert "it is a file" in refused(workdir=tmp_path / "file")


def test_a_run_that_fails_before_any_training_bars_no_corrected_config(refused, tmp_path, capsys):
    """Nothing passes the filters: found out only when the search is on, and still nothing is left."""
    assert "no candidate passed the filters in 3 draws" in refused("filters.max_attempts=3", "filters.rejection.iterations=1")
    assert run(tmp_path / "run", "mode=train", "loss=cross_entropy", "comparison.test_seeds=1") == 0
    assert "cross" in capsys.readouterr().out


def test_a_command_that_is_repeated_adds_nothing_to_the_time(tmp_path):
    """Every transaction holds the clock, so that a killed start counts; a start that finds nothing to do does not."""
    arguments = (tmp_path / "run", "mode=train", "loss=cross_entropy", "comparison.test_seeds=1")

    def seconds():
        with open_for_reading(tmp_path / "run") as opened:
            return opened.read_summary()["seconds"]["total"], opened.archive.state("clock")["seconds"]

    assert run(*arguments) == 0
    first = seconds()
    assert first[0] == pytest.approx(first[1], abs=0.1)
    assert run(*arguments) == 0
    assert seconds() == (first[1], first[1])
    assert run(*arguments[:-1], "comparison.test_seeds=2") == 0
    assert seconds()[0] > first[1]


@pytest.mark.parametrize("mode", ["train", "compare"])
def test_trainings_that_meet_nan_are_named(tmp_path, capsys, mode):
    explodes = "Mul(target, Exp(Exp(Exp(Inv(prediction)))))"
    losses = [f"loss={explodes}"] if mode == "train" else [f"losses=('{explodes}', 'cross_entropy')"]
    assert run(tmp_path / "run", f"mode={mode}", *losses) == 0
    table = capsys.readouterr().out
    assert "4 of 4 trainings met NaN or infinity" in table
    with open_for_reading(tmp_path / "run") as opened:
        summary = opened.read_summary()
        assert summary["stopped_by_nan"] == sum(not row.finite for row in opened.archive.trainings()) > 0
    stopped = {row["kind"]: row["tuned"]["stopped_by_nan"] for row in summary["comparison"]}
    assert stopped == ({"given": 4} if mode == "train" else {"given": 4, "handcrafted": 0})
    assert "(4 of 4 trainings met NaN)" in (tmp_path / "run" / "report.html").read_text()


def test_control_c_before_the_first_training_says_that_nothing_was_done(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(SerialExecution, "run", interrupted)
    assert run(tmp_path / "run") == 130
    assert "stopped; nothing was done yet. To begin again: python -m jaxloss.launch" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_config_is_refused_and_kept(tmp_path, capsys):
    arguments = (tmp_path / "run", "mode=train", "loss=cross_entropy", "comparison.test_seeds=1")
    assert run(*arguments) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    capsys.readouterr()
    assert run(*arguments, "training.momentum=0.5", "seed=3") == 2
    error = capsys.readouterr().err
    assert "this run was begun with seed = 0, not 3" in error
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    # What may change does: more seeds for the comparison.
    assert run(*arguments[:-1], "comparison.test_seeds=2") == 0
    with open_for_reading(tmp_path / "run") as opened:
        assert len(opened.archive.trainings("train")) == 4
        assert opened.archive.state(STORED_RANGES) == {"classification": {"prediction": [0, 1], "target": [0, 1]}}
    assert len(json.loads((tmp_path / "run" / "config_history.json").read_text())) == 1


@pytest.mark.parametrize(
    ("command", "function"), [(export, "jaxloss.config.stored.stored_space"), (report, "jaxloss.runs.directory.open_for_reading")]
)
def test_control_c_in_the_other_commands(capsys, monkeypatch, command, function):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(function, interrupted)
    assert command.main(["some run"]) == 130
    assert capsys.readouterr() == (
        "",
        f"stopped. To begin again: python -m {command.__name__.removesuffix('.__main__')} 'some run'\n",
    )


# --- as a real command -------------------------------------------------------------------------------------------------------


def test_an_interrupt_in_a_garbage_collection_is_not_lost():
    """Python forgets what is raised in such a callback, and JAX has one."""
    sent = []

    def interrupted(*_):
        if not sent:
            sent.append(True)
            signal.raise_signal(signal.SIGINT)

    def collect():
        gc.collect()
        time.sleep(10)

    before = signal.signal(signal.SIGINT, interrupts.raise_interrupt)
    gc.callbacks.append(interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            collect()
    finally:
        gc.callbacks.remove(interrupted)
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("module", "delay", "message"),
    [
        ("launch", 0.1, "stopped; nothing was done yet. To begin again: python -m jaxloss.launch --config="),
        ("launch", 1.0, "stopped; nothing was done yet. To begin again: python -m jaxloss.launch --config="),
        ("export", 0.3, "stopped. To begin again: python -m jaxloss.export RUN"),
        ("report", 0.3, "stopped. To begin again: python -m jaxloss.report RUN"),
    ],
)
def test_control_c_during_the_imports(tmp_path, module, delay, message):
    """The start of the interpreter itself is beyond our reach: the delay begins when it is up."""
    code = f"print('up', flush=True); import runpy; runpy.run_module('jaxloss.{module}', run_name='__main__', alter_sys=True)"
    arguments = [f"--config={TINY}", f"--workdir={tmp_path / 'run'}"] if module == "launch" else ["RUN"]
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout.readline() == "up\n"
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert error.startswith(message)
    assert error.count("\n") == 1


@pytest.mark.parametrize("override", ["seach.name=x", "mode=find", "task.name=absent:make"])
def test_a_real_command_prints_one_line(tmp_path, override):
    command = [
        sys.executable,
        "-m",
        "jaxloss.launch",
        f"--config={TINY}",
        f"--workdir={tmp_path / 'run'}",
        f"--config.{override}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
