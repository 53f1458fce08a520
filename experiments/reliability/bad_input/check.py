"""Carries one mistake out, and says what is wrong with the answer."""

import contextlib
import dataclasses
import io
import itertools
import sys
import tomllib
import traceback
import types
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

import jaxloss
from jaxloss import command
from jaxloss.core.errors import UserError

FOLDER = Path(__file__).parent / "cases"
RUN = "{run}"
# A line that no terminal shows whole helps nobody; a list of all keys or losses is as long as it is.
LONGEST = 1300


@dataclasses.dataclass(frozen=True)
class Case:
    """A mistake.

    Attributes:
      group: its file and table, such as `config.values`.
      call: arguments of the command `jaxloss`, or one Python expression.
      says: what the line has to hold.
      is_python: whether it is an expression.
    """

    group: str
    call: tuple[str, ...]
    says: str
    is_python: bool

    @property
    def needs_run(self) -> bool:
        """Whether it is about a run that is finished."""
        return any(RUN in part for part in self.call)


def read_cases(folder: Path = FOLDER) -> list[Case]:
    """All mistakes of the files in a folder, in their order."""
    cases = []
    for file in sorted(folder.glob("*.toml")):
        for name, table in tomllib.loads(file.read_text()).items():
            prefix, is_python = table.get("command", []), "command" not in table
            for *call, says in table["cases"]:
                cases.append(Case(f"{file.stem}.{name}", (*prefix, *call), says, is_python))
    return cases


class Checker:
    """Carries mistakes out in one process."""

    def __init__(self, folder: Path, data: Path, run: Path):
        """Args:
        folder: an empty one, where nothing may be left behind.
        data: with the files of `files.py`.
        run: directory of a finished run.
        """
        self._folder, self._data, self._run = folder, data, run
        self._numbers = itertools.count()

    def wrong(self, case: Case) -> str:
        """What is wrong with the answer; empty where it is one line that says what it has to."""
        new = self._folder / f"run{next(self._numbers)}"
        places = {"{new}": str(new), "{data}": str(self._data), RUN: str(self._run)}
        call = [_filled(part, places) for part in case.call]
        before = _contents(self._run)
        lines = _answer_of_python(call[0], self._data) if case.is_python else _answer_of_command(call)
        if isinstance(lines, str):
            return lines
        if new.exists():
            return f"leaves {sorted(path.name for path in new.iterdir()) if new.is_dir() else new.name} behind"
        if _contents(self._run) != before:
            return "changes the run"
        if len(lines) != 1:
            return f"{len(lines)} lines: {' / '.join(lines)}"
        if case.says not in lines[0]:
            return f"says: {lines[0]}"
        return "" if len(lines[0]) <= LONGEST else f"a line of {len(lines[0])} characters: {lines[0]}"


def _filled(part: str, places: Mapping[str, str]) -> str:
    for name, path in places.items():
        part = part.replace(name, path)
    return part


def _contents(run: Path) -> dict[str, tuple[int, int]]:
    # The journal of the archive and the lock say who looked last.
    files = [path for path in run.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock"))]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def _answer_of_command(arguments: list[str]) -> list[str] | str:
    """The lines on standard error, or what is wrong already."""
    with _captured() as (out, error):
        try:
            code = command.main(arguments)
        except SystemExit as left:
            return f"leaves by SystemExit {left.code}"
        except Exception:
            return f"traceback: {traceback.format_exc().splitlines()[-1]}"
    if code != 2:
        return f"exit code {code}: {(error.getvalue() or out.getvalue()).strip()[-200:]}"
    return error.getvalue().splitlines()


def _answer_of_python(expression: str, data: Path) -> list[str] | str:
    names = {"jaxloss": jaxloss, "np": np, "data": data, **vars(_helpers())}
    with _captured():
        try:
            value = eval(expression, names)
        except UserError as error:
            return str(error).splitlines()
        except Exception:
            return f"traceback: {traceback.format_exc().splitlines()[-1]}"
    return f"gives {value!r}"[:200]


def _helpers() -> types.ModuleType:
    from experiments.reliability.bad_input import helpers

    return helpers


@contextlib.contextmanager
def _captured() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        yield out, error
    sys.stdout.flush()
