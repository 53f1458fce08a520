"""Whether a config has the keys that there are, each with a value of its type: anybody can make a ConfigDict."""

import ml_collections

from jaxloss.config.schema import default_config
from jaxloss.config.unknown_keys import unknown_key
from jaxloss.core.errors import UserError


def check_keys(who: str, config: ml_collections.ConfigDict) -> None:
    """Compares a config with `default_config()`.

    Args:
      who: gives it, for the message: `the config file 'x.py' gives a config`.
      config: that was not begun with `default_config()`, so that it may lack keys; any config may hold None.

    Raises:
      UserError: names a key that is missing, unknown or of another type.
    """
    _check_section(who, config, default_config())


def _check_section(who: str, config: ml_collections.ConfigDict, default: ml_collections.ConfigDict, prefix: str = "") -> None:
    for name, value in default.items():
        key = f"{prefix}{name}"
        if name not in config:
            raise UserError(
                f"{who} without the key '{key}': begin it with jaxloss.config.default_config() and change what differs"
            )
        given, kind = config[name], type(value)
        if isinstance(value, ml_collections.ConfigDict):
            if not isinstance(given, ml_collections.ConfigDict):
                raise UserError(f"{who} that sets '{key}', which is a section of keys, to {given!r}")
            _check_section(who, given, value, f"{key}.")
        elif default.get_type(name) is not object and type(given) is not kind and not (kind is float and type(given) is int):
            raise UserError(f"{who} that sets '{key}' to {given!r}; it takes a value of type {kind.__name__} like {value!r}")
    for name in config:
        if default.is_locked and name not in default:
            known = [f"{prefix}{one}" for one in default]
            raise UserError(f"{who} that names an {unknown_key(f'{prefix}{name}', known)}")
