"""Carries out the runs of a sweep, each a process of its own, some side by side."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jaxloss.sweeps.points import Point

_MEMORY = "XLA_PYTHON_CLIENT_MEM_FRACTION"
_LOOK_EVERY = 0.2
_SIGNAL_OF_DEAD_PARENT = 1


def work(
    points: Sequence[Point],
    command: Callable[[Point], Sequence[str]],
    workdir: Path,
    parallel: int,
    message: Callable[[str], None],
) -> dict[str, str]:
    """Runs all points. What a run prints stands in `NAME.log` beside its directory.

    A Ctrl-C stops the runs as it would stop each of them, and all go on with the same command.

    Args:
      points: to be run, in this order.
      command: of a point.
      workdir: folder of the runs.
      parallel: how many run at a time.
      message: is told what begins and ends.

    Returns:
      Name of each point that failed -> the last line that it printed.

    Raises:
      KeyboardInterrupt: after all runs have stopped.
    """
    waiting = list(points)
    total, seconds, failed = len(waiting), [], {}
    running: list[tuple[Point, subprocess.Popen, float]] = []
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                point = waiting.pop(0)
                running.append((point, _start(command(point), workdir / f"{point.name}.log", parallel), time.monotonic()))
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


def _start(command: Sequence[str], log: Path, parallel: int) -> subprocess.Popen:
    environment: Mapping[str, str] = os.environ
    if parallel > 1 and _MEMORY not in os.environ:
        # Each process would take three quarters of an accelerator's memory.
        environment = {**os.environ, _MEMORY: f"{0.9 / parallel:.3f}"}
    with log.open("w") as output:
        # In a session of its own: a Ctrl-C of the terminal reaches it once, through us.
        return subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=_stop_with_parent if sys.platform == "linux" else None,
        )


def _stop_with_parent() -> None:
    """A sweep that is killed must not leave runs behind, which would hold their directories."""
    ctypes.CDLL(None).prctl(_SIGNAL_OF_DEAD_PARENT, signal.SIGINT)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
