"""The launch command, as a test calls it."""

from pathlib import Path

from jaxloss import launch

REPOSITORY = Path(__file__).parents[2]
TINY = "tests/configs/tiny.py"


def run(workdir, *overrides, config=TINY, flags=()):
    arguments = [f"--config={config}", f"--workdir={workdir}", *(f"--config.{override}" for override in overrides), *flags]
    return launch.main(arguments)


def refusal(workdir, capsys, *overrides):
    """The one line with which the command refuses, before there is a run directory."""
    assert run(workdir, *overrides) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not workdir.exists()
    return error
