"""Checks the config of a run, wherever it comes from, as the run will have it."""

import ml_collections

from jaxloss.config.check import check_config, refuse_idle_keys
from jaxloss.config.known_keys import check_keys
from jaxloss.config.loaded import LoadedConfig
from jaxloss.config.presets import with_preset
from jaxloss.config.schema import keys, value_of


def check_run(config: ml_collections.ConfigDict) -> None:
    """Checks keys, all values, and whether every key acts.

    A config that was loaded from a file may hold what the file said for other runs, as `load_config` has looked at it; what was
    changed since then is looked at in the run at hand. Any other config is looked at as that of a file.

    Raises:
      UserError: names the key.
    """
    check_keys("run was given a config", config)
    said = set_beside_its_file(config)
    filled = with_preset(config, said or ())
    check_config(filled)
    refuse_idle_keys(filled, said)


def set_beside_its_file(config: ml_collections.ConfigDict) -> list[str] | None:
    """The keys of a loaded config that its file did not set; None for any other config."""
    if not isinstance(config, LoadedConfig):
        return None
    # Its values need not go together before a preset fills others in.
    return [key for key in keys() if key not in config.said or config.said[key] != value_of(config, key)]
