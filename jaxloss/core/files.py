"""Files of a user: those that a command names, and what to do where one cannot be written."""

import errno
from pathlib import Path

from jaxloss.core.errors import UserError, unknown

_PACKAGE = Path(__file__).parents[1]

# What helps where a disk is full: nothing is lost, and what was done already is not done again.
MAKE_ROOM = "make room on the disk and give the same command again"


def config_file(path: str | Path) -> Path:
    """The config file at `path`, or the one of that name which comes with jaxloss, such as `quickstart`.

    Raises:
      UserError: there is none.
    """
    file = Path(path)
    if file.is_file():
        return file
    configs = shipped_configs()
    if str(path) in configs:
        return configs[str(path)]
    if file.suffix or len(file.parts) != 1:
        raise UserError(f"no config file '{path}'. Give one with --config=FILE.py, for example configs/quickstart.py")
    raise UserError(f"no config file '{path}', and {unknown('config', str(path), configs)}")


def shipped_configs() -> dict[str, Path]:
    """Name -> file of the configs that come with jaxloss: inside the package, or beside it in a checkout."""
    folders = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
    folder = next((folder for folder in folders if (folder / "quickstart.py").is_file()), None)
    files = sorted(folder.glob("*.py")) if folder else ()
    return {file.stem: file for file in files if not file.stem.startswith("_")}


def unwritable(what: str, error: OSError, otherwise: str = "") -> UserError:
    """The line for a file that cannot be written.

    Args:
      what: begins the line, such as `cannot write 'report.html'`.
      error: says why.
      otherwise: what would be right where the disk is not full; empty where there is nothing to say.
    """
    remedy = MAKE_ROOM if error.errno in (errno.ENOSPC, errno.EDQUOT) else otherwise
    return UserError(f"{what}: {error.strerror or error}" + (f"; {remedy}" if remedy else ""))
