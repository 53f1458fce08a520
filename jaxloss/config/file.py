"""From a config file and the overrides of the command line to a config that is checked."""

import copy
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections

from jaxloss.config.check import check_config, named_in, refuse_idle_keys
from jaxloss.config.known_keys import check_keys
from jaxloss.config.loaded import LoadedConfig
from jaxloss.config.overrides import apply_overrides
from jaxloss.config.presets import with_preset
from jaxloss.config.schema import keys, value_of
from jaxloss.config.unknown_keys import not_found
from jaxloss.core.arguments import expect, expect_path
from jaxloss.core.errors import UserError
from jaxloss.core.files import config_file


def load_config(path: str | Path, overrides: Mapping[str, Any] | None = None) -> ml_collections.ConfigDict:
    """The config of a file, with overrides put in, checked.

    Args:
      path: of a file with a function `get_config()`.
      overrides: dotted key -> text as on the command line, or value: `{"search.num_trainings": 100}`.

    Raises:
      UserError: for a file that is none, for a key or a value that is wrong, and for a key that nothing in the run reads.
    """
    overrides = {} if overrides is None else overrides
    expect_path("path", path, "a config file")
    expect("overrides", overrides, Mapping, "a mapping dotted key -> value")
    for key in overrides:
        expect("a key of overrides", key, str, "text, such as 'search.num_trainings'")
    given = run_config_file(path)
    config = LoadedConfig(copy.deepcopy(given))
    apply_overrides(config, overrides)
    # What a preset fills in makes other keys act. It is for a run to fill: the config stays as it was written.
    of_run = with_preset(config, overrides)
    check_config(of_run)
    of_file = with_preset(given)
    # A value of the file that the command line replaced need not be right.
    if _is_sound(of_file):
        refuse_idle_keys(of_file)
    refuse_idle_keys(of_run, overrides)
    config.remember({key: value_of(config, key) for key in keys() if not named_in(key, overrides)})
    return config


def _is_sound(config: ml_collections.ConfigDict) -> bool:
    try:
        check_config(config)
    except UserError:
        return False
    return True


def run_config_file(path: str | Path) -> ml_collections.ConfigDict:
    """Runs `get_config()` of a config file.

    Raises:
      UserError: when the file is absent, has no `get_config`, does not run, or gives a config that lacks keys.
    """
    config = _call_of_file(path, "get_config")
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"the config file '{path}' needs a function get_config() that returns a ConfigDict")
    check_keys(f"the config file '{path}' gives a config", config)
    return config


def load_sweep(path: str | Path) -> Any:
    """What `get_sweep()` of a config file returns.

    Raises:
      UserError: when the file is absent, has no `get_sweep`, or does not run.
    """
    sweep = _call_of_file(path, "get_sweep")
    if sweep is None:
        raise UserError(
            f"the config file '{path}' needs a function get_sweep() that returns {{key: [values]}} or a list of points"
        )
    return sweep


def _call_of_file(path: str | Path, function: str) -> Any:
    """What a function of a config file returns; None where it has none."""
    file = config_file(path)
    spec = importlib.util.spec_from_file_location(f"jaxloss_config_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UserError(f"the config '{path}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        spec.loader.exec_module(module)
        return getattr(module, function)() if hasattr(module, function) else None
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's file does wrong, it is the user's file
        if complaint := not_found(error):
            raise UserError(f"the config file '{path}' names {complaint}") from error
        message = (str(error).splitlines() or [""])[0]
        raise UserError(f"the config file '{path}' does not run: {type(error).__name__}: {message}") from error
    finally:
        sys.path.pop(0)
