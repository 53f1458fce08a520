"""What the files of a run are called, and how those of JSON are read."""

from pathlib import Path
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.runs import json_text

CONFIG_FILE = "config.json"
HISTORY_FILE = "config_history.json"
ARCHIVE_FILE = "archive.sqlite"
SUMMARY_FILE = "summary.json"
LOCK_FILE = "run.lock"
CHECKPOINTS = "checkpoints"


def read_json(path: Path, kind: type, remedy: str = "restore it, or use another directory") -> Any:
    """The content of a JSON file, which must be of the given kind and hold something.

    Args:
      path: of the file.
      kind: `dict` or `list`.
      remedy: ends the line about a damaged file.

    Raises:
      UserError: the file cannot be read, or is damaged.
    """
    try:
        content = json_text.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}") from error
    except ValueError:
        content = None
    if not isinstance(content, kind) or not content:
        raise UserError(f"'{path}' is damaged; {remedy}")
    return content


def has_summary(path: str | Path) -> bool:
    """Whether the run in `path` is finished: its summary is there, and whole."""
    try:
        return bool(read_json(Path(path) / SUMMARY_FILE, dict))
    except UserError:
        return False
