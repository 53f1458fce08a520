"""Files that are there whole or not at all, even when the process is killed while it writes."""

import contextlib
import fcntl
import os
import re
import uuid
from pathlib import Path
from typing import Any

from jaxloss.runs import json_text

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{32}\.tmp")


def is_temporary(name: str) -> bool:
    """Whether a killed `write_text` may have left a file of this name."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_leftovers(directory: str | os.PathLike, name: str | None = None) -> None:
    """Removes what killed calls of `write_text` have left in a directory: for the file `name`, or for any.

    What another process is writing stays: it holds a lock on its temporary file, and the lock ends with the process.

    Raises:
      OSError: the directory cannot be read, or the files in it not removed.
    """
    for path in Path(directory).iterdir():
        found = _TEMPORARY.fullmatch(path.name)
        if found is None or found["name"] != (found["name"] if name is None else name):
            continue
        with contextlib.suppress(BlockingIOError, FileNotFoundError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replaces the file at `path` by `text` (UTF-8), see `write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Replaces the file at `path`; a reader sees the old or the new content, never a part.

    What a killed call has left for the same file is removed.

    Raises:
      OSError: the folder is missing or cannot be written; the old file is then untouched.
    """
    path = Path(path)
    with contextlib.suppress(OSError):
        remove_leftovers(path.parent, path.name)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            # Says that somebody is at work on it. File systems without locks have none to say it with.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(content)
            file.flush()
            # Without this a power cut may leave the new name on an empty file.
            os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Replaces the file at `path` by `value` as indented JSON with sorted keys (see `json_text.dumps`).

    Raises:
      TypeError: `value` holds something that is no JSON; the old file is then untouched.
      OSError: as `write_bytes`.
    """
    write_text(path, json_text.dumps(value, indent=2) + "\n")
