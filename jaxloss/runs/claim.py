"""Whose a work directory is: a run's, somebody else's, or nobody's."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.runs import atomic
from jaxloss.runs.files import ARCHIVE_FILE, CHECKPOINTS, CONFIG_FILE, LOCK_FILE, SUMMARY_FILE, read_json
from jaxloss.runs.lock import Lock, LockHeldError, holder_of

# What a run has only when its archive holds something.
_BEGUN = (SUMMARY_FILE, "metrics.jsonl", CHECKPOINTS)

# What is there before an archive holds anything. A kill inside its first transaction leaves an empty one, and its journal.
_FIRST = (CONFIG_FILE, LOCK_FILE, ARCHIVE_FILE, f"{ARCHIVE_FILE}-journal")

BEGIN_ANEW = "give the same command with --restart, which sets this directory aside and begins again"


def refuse_foreign_files(path: Path, given: Mapping[str, Any]) -> None:
    """A directory without an archive is new: it must hold nothing but what a run leaves that was killed as it began.

    Many programs write a file `config.json`: one without an archive beside it is a run's if it has the sections of ours.

    Raises:
      UserError: it holds other files, or a run that has lost its archive.
    """
    entries = {entry.name: entry for entry in path.iterdir()}
    if ARCHIVE_FILE in entries and entries[ARCHIVE_FILE].stat().st_size:
        return
    left = [name for name in _BEGUN if name in entries]
    if CONFIG_FILE in entries and not (left and LOCK_FILE in entries):
        missing = sorted(given.keys() - read_json(path / CONFIG_FILE, dict).keys())
        if missing:
            raise UserError(
                f"'{path / CONFIG_FILE}' is not the config of a run: it has no key '{missing[0]}', and no {ARCHIVE_FILE} is "
                "beside it; use an empty or new --workdir"
            )
    if left and (CONFIG_FILE in entries or LOCK_FILE in entries):
        state = "empty" if ARCHIVE_FILE in entries else "missing"
        raise UserError(
            f"the {ARCHIVE_FILE} of the run in '{path}' is {state}, and its {left[0]} came from that: restore it, or {BEGIN_ANEW}"
        )
    foreign = _foreign(entries)
    if foreign:
        listed = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise UserError(
            f"work directory '{path}' holds other files ({listed}) and no {ARCHIVE_FILE}; use an empty or new --workdir"
        )


def is_beginning(path: Path) -> bool:
    """Whether a run may still begin in `path`, or is just about to: it is missing, empty, or held by one without an archive."""
    try:
        names = [entry.name for entry in path.iterdir()]
    except FileNotFoundError:
        return True
    except OSError:
        return False
    if _foreign(names):
        return False
    return not {CONFIG_FILE, ARCHIVE_FILE} & {*names} or holder_of(path / LOCK_FILE) is not None


def _foreign(names: Iterable[str]) -> list[str]:
    """Of files in a directory without an archive, those that no run has made."""
    return sorted(name for name in names if name not in _FIRST and not atomic.is_temporary(name))


def set_aside(path: str | Path) -> Path | None:
    """Renames the directory of a run, so that another may begin in its place; nothing is removed.

    Returns:
      Where it is now: `path` with `.1`, `.2`, ... behind it; None where there is no run in `path`.

    Raises:
      UserError: the run is in use, or its directory cannot be renamed.
    """
    path = Path(os.path.abspath(path))
    if not any((path / name).is_file() for name in (LOCK_FILE, ARCHIVE_FILE)):
        return None
    number = 1
    while (aside := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    try:
        lock = Lock(path / LOCK_FILE)
        try:
            path.rename(aside)
        finally:
            lock.release()
    except LockHeldError as holder:
        raise UserError(f"work directory '{path}' is in use by {holder}; wait for it, or use another --workdir") from None
    except OSError as error:
        raise UserError(f"cannot rename '{path}' to '{aside}': {error.strerror}; use another --workdir") from error
    return aside
