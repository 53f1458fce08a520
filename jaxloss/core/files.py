"""Files that a user names, looked for before anything heavy is loaded."""

from pathlib import Path

from jaxloss.core.errors import UserError, unknown

_PACKAGE = Path(__file__).parents[1]


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
    raise unknown("config", str(path), configs)


def shipped_configs() -> dict[str, Path]:
    """Name -> file of the configs that come with jaxloss: inside the package, or beside it in a checkout."""
    folders = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
    folder = next((folder for folder in folders if (folder / "quickstart.py").is_file()), None)
    files = sorted(folder.glob("*.py")) if folder else ()
    return {file.stem: file for file in files if not file.stem.startswith("_")}
