"""Files that are there whole or not at all, even when the process is killed while it writes."""

import os
import uuid
from pathlib import Path
from typing import Any

from jaxloss.runs import json_text


def temporary_pattern(name: str) -> str:
    """The glob pattern of the temporary files that a killed `write_text` may leave beside the file `name`."""
    return f".{name}.*.tmp"


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replaces the file at `path` by `text` (UTF-8); a reader sees the old or the new content, never a part.

    Raises:
      OSError: the folder is missing or cannot be written; the old file is then untouched.
    """
    path = Path(path)
    temporary = path.with_name(temporary_pattern(path.name).replace("*", uuid.uuid4().hex))
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text)
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
      OSError: as `write_text`.
    """
    write_text(path, json_text.dumps(value, indent=2) + "\n")
