"""The calling side of `worker`: one process, kept alive between formulas, killed when a formula takes too long."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

# A plain interpreter with a module of ours: it never runs the caller's script again, so that scripts need no __main__ guard.
COMMAND = (sys.executable, "-m", "jaxloss.symbolic.worker")
START_LIMIT_SECONDS = 60.0
# A process that waits for something else than a processor is given up after so many times its limit.
PATIENCE = 50
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


class WorkerError(Exception):
    """The worker was too slow or died; the message says which."""


class _Limit:
    """Of the processor seconds of a process from now on; where the system does not tell them, of all seconds."""

    def __init__(self, pid: int, seconds: float):
        self._pid, self._seconds, self._began = pid, seconds, time.monotonic()
        self._before = self._used()

    def left(self) -> float:
        """Seconds for which nobody need look again, not above 0 where the limit is reached."""
        passed, now = time.monotonic() - self._began, self._used()
        used = passed if self._before is None or now is None else now - self._before
        return min(self._seconds - used, PATIENCE * self._seconds - passed)

    def _used(self) -> float | None:
        try:
            fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class SimplificationWorker:
    """Asks a worker process for proposals. A context manager; the process is started when it is first needed."""

    def __init__(self, command: Sequence[str] = COMMAND):
        self._command = tuple(command)
        self._process: subprocess.Popen | None = None
        self._unread = b""

    def ask(self, request: Mapping[str, Any], time_limit: float) -> tuple[list[tuple[str, str]], str]:
        """Returns the answers (method, SymPy text), and why there may be fewer than there could be: '' if all came.

        Args:
          request: the arguments of `proposals.propose`; with `question`, those of another of `worker.QUESTIONS`.
          time_limit: seconds of a processor for this request, the start of the process not counted. What came until then is
            returned: the same on a busy machine, which may take `PATIENCE` times as long.
        """
        proposals: list[tuple[str, str]] = []
        try:
            self._start()
            limit = _Limit(self._process.pid, time_limit)
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            while True:
                reply = self._read(limit.left, f"the time limit of {time_limit:g} s was reached")
                if "method" not in reply:
                    return proposals, reply.get("error", "")
                proposals.append((reply["method"], reply["text"]))
        except (WorkerError, OSError) as error:
            self.close()
            return proposals, str(error)

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        search_path = os.pathsep.join(filter(None, [_PACKAGE_ROOT, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": search_path},
        )
        deadline = time.monotonic() + START_LIMIT_SECONDS
        self._read(lambda: deadline - time.monotonic(), "the worker did not start")

    def _read(self, left: Callable[[], float], too_late: str) -> dict[str, Any]:
        """The next reply; bytes are collected here, because a buffered reader hides them from `select`."""
        stream = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            seconds = left()
            if not select.select([stream], [], [], max(0.0, seconds))[0]:
                if seconds > 0:
                    continue  # on a busy machine it has not had them
                raise WorkerError(too_late)
            chunk = os.read(stream, 1 << 16)
            if not chunk:
                raise WorkerError("the worker process died")
            self._unread += chunk
        line, self._unread = self._unread.split(b"\n", 1)
        return json.loads(line)

    def close(self) -> None:
        """Ends the process; a second call does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            # What was still to be written has nobody to read it.
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process, self._unread = None, b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
