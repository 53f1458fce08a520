"""Control-C ends every command in one line, whenever it comes."""

import gc
import signal
import subprocess
import sys
import time

import pytest

from jaxloss import export
from jaxloss.core import interrupts
from jaxloss.execution.serial import SerialExecution
from jaxloss.report import __main__ as report
from tests.launch.command import REPOSITORY, TINY, run


def test_control_c_before_the_first_training_says_that_nothing_was_done(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(SerialExecution, "run", interrupted)
    assert run(tmp_path / "run") == 130
    assert "stopped; nothing was done yet. To begin again: python -m jaxloss.launch" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


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


class Finalised:
    """Garbage that is interrupted while it is cleared away."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_in_a_finaliser_is_not_lost():
    """Python forgets what is raised there."""
    before = signal.signal(signal.SIGINT, interrupts.raise_interrupt)

    def clear_away():
        Finalised()
        time.sleep(10)

    try:
        with pytest.raises(KeyboardInterrupt):
            clear_away()
    finally:
        signal.signal(signal.SIGINT, before)


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
        pytest.param("launch", 0.1, "stopped; nothing was done yet. To begin again:", marks=pytest.mark.slow),
        ("launch", 1.0, "stopped; nothing was done yet. To begin again: python -m jaxloss.launch --config="),
        ("export", 0.3, "stopped. To begin again: python -m jaxloss.export RUN"),
        pytest.param("report", 0.3, "stopped. To begin again: python -m jaxloss.report RUN", marks=pytest.mark.slow),
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
