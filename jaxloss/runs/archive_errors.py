"""What the disk or a damaged file does to an archive, in one line for its user."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from jaxloss.core.errors import UserError
from jaxloss.core.files import MAKE_ROOM

_REMEDIES = {
    sqlite3.SQLITE_FULL: MAKE_ROOM,
    sqlite3.SQLITE_IOERR: "look whether the disk is full or failing, and give the same command again",
    sqlite3.SQLITE_BUSY: "another process holds it: give the same command again when that has ended",
}


@contextlib.contextmanager
def user_errors(path: Path) -> Iterator[None]:
    """Mistakes in the calling code stay as they are.

    Raises:
      UserError: names the archive at `path`, what SQLite says, and what to do.
    """
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise
    except sqlite3.DatabaseError as error:
        problem = " ".join(str(error).split())
        # The low byte of the code is the kind of error. Errors that are raised by us have none: the content is damaged.
        kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        remedy = _REMEDIES.get(kind, "restore it, or use another directory")
        raise UserError(f"archive '{path}' cannot be used: {problem}; {remedy}") from error
