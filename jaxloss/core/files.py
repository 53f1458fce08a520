"""Files of a user: those that a command names, and what to do where one cannot be written."""

import errno
from pathlib import Path

from jaxloss.core.errors import UserError

# What helps where a disk is full: nothing is lost, and what was done already is not done again.
MAKE_ROOM = "make room on the disk and give the same command again"


def config_file(path: str | Path) -> Path:
    """The config file at `path`.

    Raises:
      UserError: there is none.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"no config file '{path}'. Give one with --config=FILE.py, for example configs/quickstart.py")
    return file


def unwritable(what: str, error: OSError, otherwise: str = "") -> UserError:
    """The line for a file that cannot be written.

    Args:
      what: begins the line, such as `cannot write 'report.html'`.
      error: says why.
      otherwise: what would be right where the disk is not full; empty where there is nothing to say.
    """
    remedy = MAKE_ROOM if error.errno in (errno.ENOSPC, errno.EDQUOT) else otherwise
    return UserError(f"{what}: {error.strerror or error}" + (f"; {remedy}" if remedy else ""))
