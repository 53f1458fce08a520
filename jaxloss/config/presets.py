"""What a preset of the search makes of a config."""

from collections.abc import Iterable

import ml_collections

from jaxloss.config import schema
from jaxloss.config.check import acts, asked_by, named_in, values_of
from jaxloss.search.presets import PRESETS
from jaxloss.systems.registry import SYSTEMS


def with_preset(config: ml_collections.ConfigDict, said: Iterable[str] = ()) -> ml_collections.ConfigDict:
    """A copy with the values of `search.preset` where a key has its default still and acts in this run.

    Args:
      config: all its values are right.
      said: keys that keep their values even where these are the defaults: somebody asked for them by name.
    """
    filled = config.copy_and_resolve_references()
    system = SYSTEMS.get(config.space.name)
    of_system = {} if system is None else system.search_presets.get(config.search.preset, {})
    for name, value in {**PRESETS[config.search.preset], **of_system}.items():
        key = schema.keys()[name]
        # Asked anew for each: one key may make the next one act.
        if values_of(filled)[name] == key.default and not named_in(name, said) and acts(key, asked_by(filled)):
            filled.update_from_flattened_dict({name: value})
    return filled
