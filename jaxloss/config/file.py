"""From a config file and the overrides of the command line to a config that is checked."""

import copy
import importlib.util
import sys
from collections.abc import Mapping

import ml_collections

from jaxloss.config.check import check_config, refuse_idle_keys
from jaxloss.config.overrides import apply_overrides
from jaxloss.config.schema import default_config
from jaxloss.config.unknown_keys import not_found, unknown_key
from jaxloss.core.errors import UserError
from jaxloss.core.files import config_file


def load_config(path: str, overrides: Mapping[str, str] | None = None) -> ml_collections.ConfigDict:
    """The config of a file, with overrides put in, checked.

    Args:
      path: of a file with a function `get_config()`.
      overrides: dotted key -> text, see `apply_overrides`.

    Raises:
      UserError: for a file that is none, for a key or a value that is wrong, and for a key that nothing in the run reads.
    """
    given = run_config_file(path)
    config = copy.deepcopy(given)
    apply_overrides(config, overrides or {})
    check_config(config)
    # A value of the file that the command line replaced need not be right.
    if _is_sound(given):
        refuse_idle_keys(given)
    refuse_idle_keys(config, overrides or {})
    return config


def _is_sound(config: ml_collections.ConfigDict) -> bool:
    try:
        check_config(config)
    except UserError:
        return False
    return True


def run_config_file(path: str) -> ml_collections.ConfigDict:
    """Runs `get_config()` of a config file.

    Raises:
      UserError: when the file is absent, has no `get_config`, does not run, or gives a config that lacks keys.
    """
    file = config_file(path)
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
        if complaint := not_found(error):
            raise UserError(f"the config file '{path}' names {complaint}") from error
        message = (str(error).splitlines() or [""])[0]
        raise UserError(f"the config file '{path}' does not run: {type(error).__name__}: {message}") from error
    finally:
        sys.path.pop(0)
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"the config file '{path}' needs a function get_config() that returns a ConfigDict")
    _check_keys(path, config, default_config())
    return config


def _check_keys(path: str, config: ml_collections.ConfigDict, default: ml_collections.ConfigDict, prefix: str = "") -> None:
    """A config that was not begun with `default_config()` may lack keys, and any config may hold None."""
    for name, value in default.items():
        key = f"{prefix}{name}"
        if name not in config:
            raise UserError(
                f"the config file '{path}' gives a config without the key '{key}': begin it with "
                "jaxloss.config.default_config() and change what differs"
            )
        given, kind = config[name], type(value)
        if isinstance(value, ml_collections.ConfigDict):
            if not isinstance(given, ml_collections.ConfigDict):
                raise UserError(f"the config file '{path}' sets '{key}', which is a section of keys, to {given!r}")
            _check_keys(path, given, value, f"{key}.")
        elif default.get_type(name) is not object and type(given) is not kind and not (kind is float and type(given) is int):
            raise UserError(
                f"the config file '{path}' sets '{key}' to {given!r}; it takes a value of type {kind.__name__} like {value!r}"
            )
    for name in config:
        if default.is_locked and name not in default:
            known = [f"{prefix}{one}" for one in default]
            raise UserError(f"the config file '{path}' names an {unknown_key(f'{prefix}{name}', known)}")
