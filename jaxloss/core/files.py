"""Files that a user names, looked for before anything heavy is loaded."""

from pathlib import Path

from jaxloss.core.errors import UserError


def config_file(path: str | Path) -> Path:
    """The config file at `path`.

    Raises:
      UserError: there is none.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"no config file '{path}'. Give one with --config=FILE.py, for example configs/quickstart.py")
    return file
