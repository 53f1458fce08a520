"""Puts overrides into a config: text of the command line becomes a value of the type that the key has; other values have it."""

import ast
import functools
from collections.abc import Mapping
from typing import Any

import ml_collections

from jaxloss.config.schema import keys, sections
from jaxloss.config.unknown_keys import unknown_key
from jaxloss.core.errors import UserError
from jaxloss.runs.stored_config import flatten


def apply_overrides(config: ml_collections.ConfigDict, overrides: Mapping[str, Any]) -> None:
    """Sets keys from text, as the types of the present values ask for, or from values that have these types.

    A section of options takes any key, such as `task.retrieval.source_options.image_key`; given as a whole, as `{...}`, it is
    replaced.

    Args:
      config: changed in place.
      overrides: dotted key -> text, for example `{'search.num_trainings': '500'}`, or value, for example 500.

    Raises:
      UserError: for an unknown key (a near match is named) and for a value of the wrong type.
    """
    for key, given in overrides.items():
        known = flatten(config.to_dict())
        section, _, name = key.rpartition(".")
        if _takes_any_key(key):
            parent = functools.reduce(lambda inside, part: inside[part], section.split("."), config)
            parent[name] = ml_collections.ConfigDict(_convert(key, given, {}))
        elif key in known:
            config.update_from_flattened_dict({key: _convert(key, given, known[key])})
        elif name.isidentifier() and _takes_any_key(section):
            config.update_from_flattened_dict({key: _value(given) if isinstance(given, str) else given})
        elif key in sections():
            raise UserError(f"config key {key} is a section: set one of its keys, which --help={key} lists")
        else:
            raise UserError(unknown_key(key, known))


def _takes_any_key(section: str) -> bool:
    """Whether a dotted key is that of a section of options."""
    return section in keys() and keys()[section].declared.is_options


def _value(text: str) -> object:
    """What a text means where no present value says it: a truth value, a Python literal, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def _convert(key: str, given: object, present: object) -> object:
    kind, several = type(present), key in keys() and keys()[key].declared.several
    value = _read(key, given, kind, several) if isinstance(given, str) else given
    if isinstance(value, list) and (several or kind is tuple):
        value = tuple(value)
    if several and kind is str and isinstance(value, tuple):
        return value  # one for each class
    if several and kind is float and isinstance(value, tuple) and all(type(one) in (int, float) for one in value):
        return tuple(map(float, value))  # one for each channel
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is tuple and not isinstance(value, tuple):
        value = (value,)
    if kind is tuple and present:
        wanted = type(present[0])
        value = tuple(float(one) if wanted is float and type(one) is int else one for one in value)
    elements_fit = kind is not tuple or not present or all(type(one) is wanted for one in value)
    if type(value) is not kind or not elements_fit:
        raise UserError(f"--config.{key} takes a value of type {kind.__name__} like {present!r}, not {given!r}")
    return value


def _read(key: str, text: str, kind: type, several: bool) -> object:
    """What a text means for a key of this kind; None where it means nothing."""
    if kind is str:
        value = _value(text) if several else text
        return value if isinstance(value, tuple) else text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise UserError(f"--config.{key} takes true or false, not '{text}'")
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        if kind is tuple and text.startswith(("(", "[")):
            # A single text needs no brackets: these are meant to hold several.
            raise UserError(f"--config.{key} takes texts in quotes, as in \"('one', 'another')\", not '{text}'") from None
        return (text,) if kind is tuple else None
