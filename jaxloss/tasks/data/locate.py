"""Finds the files and folders that a configuration names."""

import os
import pathlib
from collections.abc import Callable

from jaxloss.core.errors import UserError

ENVIRONMENT_VARIABLE = "JAXLOSS_DATA_DIR"


def find_file(file: str, data_dir: str | None) -> pathlib.Path:
    """Looks for `file` as it stands, then in `data_dir`, then in the folder that JAXLOSS_DATA_DIR names.

    Raises:
      UserError: names every place that was tried.
    """
    return _find("file", file, data_dir, pathlib.Path.is_file)


def find_folder(folder: str, data_dir: str | None) -> pathlib.Path:
    """Looks for `folder` in the same places as `find_file`.

    Raises:
      UserError: names every place that was tried.
    """
    return _find("folder", folder, data_dir, pathlib.Path.is_dir)


def _find(kind: str, name: str, data_dir: str | None, is_there: Callable[[pathlib.Path], bool]) -> pathlib.Path:
    path = pathlib.Path(name).expanduser()
    folders = [] if path.is_absolute() else [data_dir, os.environ.get(ENVIRONMENT_VARIABLE)]
    tried = [path.absolute(), *(pathlib.Path(folder).expanduser().absolute() / path for folder in folders if folder)]
    for candidate in tried:
        if is_there(candidate):
            return candidate
    for folder in filter(None, folders):
        if pathlib.Path(folder).expanduser().is_file():
            raise UserError(f"data_dir must be the folder of the data {kind} '{name}', and '{folder}' is a file")
    raise UserError(
        f"no data {kind} '{name}': looked for {', '.join(map(str, dict.fromkeys(tried)))}. "
        f"Name its folder with --config.data_dir or {ENVIRONMENT_VARIABLE}"
    )
