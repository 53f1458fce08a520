"""Runs the launch command, and sends it a signal before one of its events, or lists them all.

    python -m experiments.reliability.events WORKDIR LOG [EVENT NUMBER SIGNAL] -- ARGUMENTS OF jaxloss.launch

An event is what changes a file of the work directory: `open NAME` (for writing), `rename NAME`, `mkdir NAME`, `remove NAME`, and
`commit` and `committed` around a transaction of the archive. Python's audit hooks tell of files before they are touched, and
SQLite's connections are given a class of their own: no line of the product knows of it. Digits that differ from run to run stand
as `#`.
"""

import os
import re
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

# Name -> the signals, and the seconds between them: the second meets what the first one left to be done.
SIGNALS = {
    "kill": ((signal.SIGKILL,), 0.0),
    "terminate": ((signal.SIGTERM,), 0.0),
    "interrupt": ((signal.SIGINT,), 0.0),
    "interrupt twice": ((signal.SIGINT, signal.SIGINT), 0.02),
}
_WRITES = os.O_WRONLY | os.O_RDWR
_VARYING = re.compile(r"[0-9a-f]{32}|\d+\.\S*|\d+")


def watch(workdir: Path, happened: Callable[[str], None]) -> None:
    """Tells of every event below the work directory, before it takes place."""
    prefix = f"{workdir.absolute()}"

    def name_of(path: Any) -> str | None:
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        text = os.path.abspath(os.fsdecode(path))
        return _VARYING.sub("#", os.path.relpath(text, prefix)) if f"{text}/".startswith(f"{prefix}/") else None

    def hook(event: str, arguments: tuple) -> None:
        if event == "open" and arguments[2] is not None and arguments[2] & _WRITES:
            kind, path = "open", arguments[0]
        elif event == "os.rename":
            kind, path = "rename", arguments[1]
        elif event in ("os.mkdir", "os.remove", "os.rmdir"):
            kind, path = event.removeprefix("os."), arguments[0]
        else:
            return
        if (name := name_of(path)) is not None:
            happened(f"{kind} {name}")

    class Connection(sqlite3.Connection):
        def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
            if statement != "COMMIT":
                return super().execute(statement, *arguments)
            happened("commit")
            result = super().execute(statement)
            happened("committed")
            return result

    original = sqlite3.connect

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return original(*arguments, **{"factory": Connection, **options})

    sqlite3.connect = connect
    sys.addaudithook(hook)


def run(arguments: Sequence[str], workdir: Path, log: Path, target: tuple[str, int] | None, how: str) -> NoReturn:
    """Runs the launch command to its end, or to an event.

    Args:
      arguments: of the command.
      workdir: of its run.
      log: file that the kinds of events are added to, a line each.
      target: a kind of event, and the number of its occurrence, before which the signal is sent; None: no signal is.
      how: a key of `SIGNALS`.
    """
    signals, pause = SIGNALS[how] if target else ((), 0.0)
    counts: Counter[str] = Counter()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def happened(event: str) -> None:
        counts[event] += 1
        os.write(descriptor, f"{event}\n".encode())
        if (event, counts[event]) == target:
            for number in signals[1:]:
                threading.Timer(pause, os.kill, (os.getpid(), number)).start()
            os.kill(os.getpid(), signals[0])

    watch(workdir, happened)
    from jaxloss.core.interrupts import leave
    from jaxloss.launch import main as launch

    leave(launch([*arguments]))


def main() -> NoReturn:
    """The command line."""
    own, arguments = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    workdir, log, *target = own
    run(arguments, Path(workdir), Path(log), (target[0], int(target[1])) if target else None, target[2] if target else "kill")


if __name__ == "__main__":
    main()
