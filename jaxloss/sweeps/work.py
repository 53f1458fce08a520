"""Carries out the runs of a sweep, each a process of its own, some side by side."""

import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from jaxloss.runs.files import LOCK_FILE
from jaxloss.runs.lock import holder_of
from jaxloss.sweeps.points import Point

_MEMORY = "XLA_PYTHON_CLIENT_MEM_FRACTION"
_LOOK_EVERY = 0.2
_SIGNAL_OF_DEAD_PARENT = 1
# A run whose sweep was killed stops at the end of what it computes, such as a compilation.
_LONGEST_WAIT = 60.0


class Process(Protocol):
    """A run at work, on this machine (`subprocess.Popen`) or on another."""

    def poll(self) -> int | None:
        """The exit code, or None while it works."""

    def send_signal(self, number: int) -> None:
        """Asks it to stop."""

    def wait(self) -> int:
        """Waits for its end."""


# `(command, log) -> Process`: starts a command whose output goes into a file.
Start = Callable[[Sequence[str], Path], Process]


def work(
    points: Sequence[Point],
    command: Callable[[Point], Sequence[str]],
    workdir: Path,
    parallel: int,
    message: Callable[[str], None],
    start: Start,
) -> dict[str, str]:
    """Runs all points. What a run prints stands in `NAME.log` beside its directory.

    A Ctrl-C stops the runs as it would stop each of them, and all go on with the same command. Runs of a sweep that was killed a
    moment ago are waited for, as long as they need to stop, a minute in all.

    Args:
      points: to be run, in this order.
      command: of a point.
      workdir: folder of the runs.
      parallel: how many run at a time.
      message: is told what begins and ends.
      start: how, and where: `here`, or on a cluster.

    Returns:
      Name of each point that failed -> the last line that it printed.

    Raises:
      KeyboardInterrupt: after all runs have stopped.
    """
    waiting = list(points)
    total, seconds, failed = len(waiting), [], {}
    running: list[tuple[Point, Process, float]] = []
    until = time.monotonic() + _LONGEST_WAIT
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                point = waiting.pop(0)
                _wait_for_holder(point, workdir, until, message)
                running.append((point, start(command(point), workdir / f"{point.name}.log"), time.monotonic()))
                message(f"{point.name}: begins")
            time.sleep(_LOOK_EVERY)
            for one in list(running):
                point, process, began = one
                if (code := process.poll()) is None:
                    continue
                running.remove(one)
                took = time.monotonic() - began
                if code == 0:
                    seconds.append(took)
                    left = sum(seconds) / len(seconds) * (len(waiting) + len(running)) / parallel
                    done = total - len(waiting) - len(running)
                    message(f"{point.name}: finished in {_clock(took)}; {done} of {total}, about {_clock(left)} left")
                else:
                    failed[point.name] = _last_line(workdir / f"{point.name}.log") or f"ended with exit code {code}"
                    message(f"{point.name}: failed. {failed[point.name]}")
    except KeyboardInterrupt:
        for _, process, _ in running:
            process.send_signal(signal.SIGINT)
        for _, process, _ in running:
            process.wait()
        raise
    return failed


def _wait_for_holder(point: Point, workdir: Path, until: float, message: Callable[[str], None]) -> None:
    """Waits until no process has the run of a point; one that has it after all is named by the run itself."""
    said = False
    while (holder := holder_of(workdir / point.name / LOCK_FILE)) and time.monotonic() < until:
        if not said:
            message(f"{point.name}: {holder} is still at work on it; waiting for its end, a minute at the most")
            said = True
        time.sleep(_LOOK_EVERY)


def here(parallel: int) -> Start:
    """Starts runs on this machine, so many at a time."""
    environment: Mapping[str, str] = os.environ
    if parallel > 1 and _MEMORY not in os.environ:
        # Each process would take three quarters of an accelerator's memory.
        environment = {**os.environ, _MEMORY: f"{0.9 / parallel:.3f}"}
    return lambda command, log: start_process(command, log, environment)


def start_process(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen:
    """Starts a command that ends with this process, or this thread."""
    with log.open("w") as output:
        # In a session of its own: a Ctrl-C of the terminal reaches it once, through us.
        return subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=functools.partial(_stop_with_parent, os.getpid()) if sys.platform == "linux" else None,
        )


def _stop_with_parent(parent: int) -> None:
    """A sweep that is killed must not leave runs behind, which would hold their directories."""
    ctypes.CDLL(None).prctl(_SIGNAL_OF_DEAD_PARENT, signal.SIGINT)
    if os.getppid() != parent:
        os._exit(1)  # it was killed before it could be heard of


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
