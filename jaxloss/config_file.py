"""Reads a config file and puts the overrides of the command line into it."""

import ast
import importlib.util
import sys
from pathlib import Path

import ml_collections

from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.runs.directory import flatten


def load_config(path: str) -> ml_collections.ConfigDict:
    """Runs `get_config()` of a config file.

    Raises:
      UserError: when the file is absent, has no `get_config`, or does not run.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"no config file '{path}'. Give one with --config=FILE.py, for example configs/quickstart.py")
    spec = importlib.util.spec_from_file_location(f"jaxloss_config_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UserError(f"the config '{path}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        spec.loader.exec_module(module)
        config = module.get_config() if hasattr(module, "get_config") else None
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's file does wrong, it is the user's file
        message = (str(error).splitlines() or [""])[0]
        raise UserError(f"the config file '{path}' does not run: {type(error).__name__}: {message}") from error
    finally:
        sys.path.pop(0)
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"the config file '{path}' needs a function get_config() that returns a ConfigDict")
    return config


def apply_overrides(config: ml_collections.ConfigDict, overrides: dict[str, str]) -> None:
    """Sets keys from text, as the types of the present values ask for.

    Args:
      config: changed in place.
      overrides: dotted key -> text, for example `{'search.num_trainings': '500'}`.

    Raises:
      UserError: for an unknown key (a near match is named) and for a value of the wrong type.
    """
    for key, text in overrides.items():
        known = flatten(config.to_dict())
        if key not in known:
            raise UserError(f"unknown config key '{key}'.{did_you_mean(key, known)} jaxloss/config.py lists all keys")
        config.update_from_flattened_dict({key: _convert(key, text, known[key])})


def _convert(key: str, text: str, present: object) -> object:
    kind = type(present)
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise UserError(f"--config.{key} takes true or false, not '{text}'")
        return text.lower() == "true"
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        value = (text,) if kind is tuple else None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is tuple and isinstance(value, list):
        value = tuple(value)
    if kind is tuple and not isinstance(value, tuple):
        value = (value,)
    if kind is tuple and present:
        wanted = type(present[0])
        value = tuple(float(one) if wanted is float and type(one) is int else one for one in value)
    elements_fit = kind is not tuple or not present or all(type(one) is wanted for one in value)
    if type(value) is not kind or not elements_fit:
        raise UserError(f"--config.{key} takes a value of type {kind.__name__} like {present!r}, not '{text}'")
    return value
