"""Reads a config file and puts the overrides of the command line into it."""

import ast
import difflib
import functools
import importlib.util
import re
import sys
from pathlib import Path

import ml_collections

from jaxloss.config.defaults import default_config
from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.runs.directory import flatten

# How ml_collections begins its complaint about a key that is not there: when it is set, and when it is read.
_UNKNOWN_KEY = re.compile(r"""(?:Key "(?P<set>[^"]+)" does not exist|'(?P<read>[^']+)'(?:\n|$))""")
# Keys that take a number or a name, or a sequence with one of them per channel or class.
_ANY_TYPE = (
    "task.classification.pixel_mean",
    "task.classification.pixel_deviation",
    "task.classification.noise_mapping",
    "task.retrieval.pixel_mean",
    "task.retrieval.pixel_deviation",
)


# Ends every complaint about a key.
WHERE = "jaxloss/config/defaults.py lists all keys"


def load_config(path: str) -> ml_collections.ConfigDict:
    """Runs `get_config()` of a config file.

    Raises:
      UserError: when the file is absent, has no `get_config`, does not run, or gives a config that lacks keys.
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
        if unknown_key := _unknown_key(error):
            raise UserError(f"the config file '{path}' names {unknown_key}") from error
        message = (str(error).splitlines() or [""])[0]
        raise UserError(f"the config file '{path}' does not run: {type(error).__name__}: {message}") from error
    finally:
        sys.path.pop(0)
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"the config file '{path}' needs a function get_config() that returns a ConfigDict")
    _check_keys(path, config, default_config())
    return config


def _unknown_key(error: BaseException) -> str | None:
    """What to say about a key that ml_collections does not find, with the near match; None for any other error."""
    if isinstance(error, AttributeError) and error.args and isinstance(error.args[0], KeyError):
        error = error.args[0]  # of attribute access: the complaint is inside
    message = error.args[0] if isinstance(error, KeyError) and error.args else None
    found = _UNKNOWN_KEY.match(message) if isinstance(message, str) else None
    if found is None:
        return None
    name = found["set"] or found["read"]
    # The error says nothing about the section, so that the last parts of the keys are compared.
    known = _all_keys(default_config())
    near = difflib.get_close_matches(name, {key.rpartition(".")[2] for key in known}, n=1, cutoff=0.5)
    matches = " or ".join(f"'{key}'" for key in known if near and key.rpartition(".")[2] == near[0])
    return f"an unknown config key '{name}'.{f' Did you mean {matches}?' if matches else ''} {WHERE}"


def _all_keys(config: ml_collections.ConfigDict, prefix: str = "") -> list[str]:
    """Dotted keys of all sections and values."""
    keys = []
    for name, value in config.items():
        keys.append(f"{prefix}{name}")
        keys += _all_keys(value, f"{prefix}{name}.") if isinstance(value, ml_collections.ConfigDict) else []
    return keys


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
        elif key not in _ANY_TYPE and type(given) is not kind and not (kind is float and type(given) is int):
            raise UserError(
                f"the config file '{path}' sets '{key}' to {given!r}; it takes a value of type {kind.__name__} like {value!r}"
            )
    for name in config:
        if default.is_locked and name not in default:
            known = [f"{prefix}{one}" for one in default]
            key = f"{prefix}{name}"
            raise UserError(f"the config file '{path}' names an unknown config key '{key}'.{did_you_mean(key, known)} {WHERE}")


def apply_overrides(config: ml_collections.ConfigDict, overrides: dict[str, str]) -> None:
    """Sets keys from text, as the types of the present values ask for.

    A section of options takes any key, such as `task.retrieval.source_options.image_key`; given as a whole, as `{...}`, it is
    replaced.

    Args:
      config: changed in place.
      overrides: dotted key -> text, for example `{'search.num_trainings': '500'}`.

    Raises:
      UserError: for an unknown key (a near match is named) and for a value of the wrong type.
    """
    for key, text in overrides.items():
        known = flatten(config.to_dict())
        section, _, name = key.rpartition(".")
        if _takes_any_key(key):
            parent = functools.reduce(lambda inside, part: inside[part], section.split("."), config)
            parent[name] = ml_collections.ConfigDict(_convert(key, text, {}))
        elif key in known:
            config.update_from_flattened_dict({key: _convert(key, text, known[key])})
        elif name.isidentifier() and _takes_any_key(section):
            config.update_from_flattened_dict({key: _value(text)})
        else:
            raise UserError(f"unknown config key '{key}'.{did_you_mean(key, known)} {WHERE}")


def _takes_any_key(section: str) -> bool:
    """Whether a dotted key is that of a section of options."""
    config = default_config()
    for part in section.split("."):
        if not isinstance(config, ml_collections.ConfigDict) or part not in config:
            return False
        config = config[part]
    return isinstance(config, ml_collections.ConfigDict) and not config.is_locked


def _value(text: str) -> object:
    """What a text means where no present value says it: a truth value, a Python literal, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


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
    if key in _ANY_TYPE and kind is float and isinstance(value, tuple | list) and all(type(one) in (int, float) for one in value):
        return tuple(map(float, value))  # one for each channel
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
