"""Starts of a run, each a process of its own that is forked off one which has imported what a run imports.

Half of the time of a short run is the import of its libraries. The process that is forked has read them, and done nothing with
them: no device was looked for, and no thread begun.
"""

import multiprocessing
import os
import re
import signal
from pathlib import Path
from typing import NoReturn

from experiments.reliability import events
from experiments.reliability.modes import arguments_of
from jaxloss.core.interrupts import INTERRUPTED

REPOSITORY = Path(__file__).parents[2]
_IMPORTED = (
    "chex",
    "flax.linen",
    "jaxloss.config",
    "jaxloss.study.experiment",
    "jinja2",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "optax",
    "orbax.checkpoint",
    "rich.table",
    "sklearn.datasets",
    "sympy",
    "tensorboardX",
)
# Of what a run said that had to be one line.
_LONGEST = 2000
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([*_IMPORTED, "experiments.reliability.events"])


def carry_out(mode: str, workdir: Path, log: Path, event: tuple[str, int] | None = None, how: str = "kill") -> tuple[int, str]:
    """Runs a mode, up to an event where one is given.

    Args:
      mode: a key of `modes.MODES`.
      workdir: of the run.
      log: file that the events are added to; what the run said goes into one beside it, `.said`.
      event: its kind, and the number of its occurrence in this start.
      how: a key of `events.SIGNALS`.

    Returns:
      How the process ended, and what is wrong with what it said: a run that was interrupted has to say so in one
      line, behind at most one remark of how it went on.
    """
    said = log.with_suffix(".said")
    process = _CONTEXT.Process(target=_start, args=(arguments_of(mode, workdir), workdir, log, said, event, how))
    process.start()
    process.join()
    text = said.read_text()
    if process.exitcode in (0, -signal.SIGKILL):
        return process.exitcode, ""
    if process.exitcode == INTERRUPTED and re.fullmatch(r"(.*\n)?stopped; .*: python -m jaxloss.launch .*\n", text):
        return INTERRUPTED, ""
    return process.exitcode, f"said: {text.strip()[-_LONGEST:]}"


def _start(arguments: list[str], workdir: Path, log: Path, said: Path, event: tuple[str, int] | None, how: str) -> NoReturn:
    os.chdir(REPOSITORY)
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    for descriptor, path in ((1, os.devnull), (2, said)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), descriptor)
    events.run(arguments, workdir, log, event, how)
