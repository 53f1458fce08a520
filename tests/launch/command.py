"""The launch command, as a test calls it."""

from pathlib import Path

from jaxloss import launch

REPOSITORY = Path(__file__).parents[2]
TINY = "tests/configs/tiny.py"


def run(workdir, *overrides, config=TINY):
    arguments = [f"--config={config}", f"--workdir={workdir}", *(f"--config.{override}" for override in overrides)]
    return launch.main(arguments)
