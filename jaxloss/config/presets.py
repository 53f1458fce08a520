"""What a preset of the search makes of a config."""

import copy
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import ml_collections

from jaxloss.config import schema, wiring
from jaxloss.config.check import acts, named_in, readers, reads_of, values_of
from jaxloss.config.drawn import drawn_config
from jaxloss.core.conditions import Asked
from jaxloss.core.errors import UserError
from jaxloss.search.presets import PRESETS
from jaxloss.systems.registry import SYSTEMS


def with_preset(
    config: ml_collections.ConfigDict, said: Iterable[str] = (), of_run: Mapping[str, Any] = MappingProxyType({})
) -> ml_collections.ConfigDict:
    """A copy with the values of `search.preset`, where a key has its default still, acts in this run, and fits the rest.

    Args:
      config: its values need not be right.
      said: keys that keep their values even where these are the defaults: somebody asked for them by name.
      of_run: dotted key -> value, of a run that goes on. Its preset may have been that of an earlier version, or one of which
        less fitted a smaller budget; a run with another preset says nothing of this one.
    """
    filled, said = copy.deepcopy(config), tuple(said)
    of_preset = PRESETS.get(config.search.preset, {})
    if config.mode != "search" or not of_preset:
        return filled
    system = SYSTEMS.get(config.space.name)
    of_system = {} if system is None else system.search_presets.get(config.search.preset, {})
    reads = reads_of(config)
    begun = of_run if of_run.get("search.preset") == config.search.preset else {}
    wanted = {name: begun.get(name, value) for name, value in {**of_preset, **of_system}.items()}
    free = {
        name: value
        for name, value in wanted.items()
        if schema.value_of(filled, name) == schema.keys()[name].default and not named_in(name, said)
    }
    # Some fit only together; where not all of them do, as many as fit one after the other.
    together = _with(filled, free)
    acting = {name: value for name, value in free.items() if _acts(name, together, reads)} if _fits(together) else {}
    if acting and _fits(changed := _with(filled, acting)):
        return changed
    for name, value in free.items():
        trial = _with(filled, {name: value})
        if _fits(trial) and _acts(name, trial, reads):
            filled = trial
    return filled


def _with(config: ml_collections.ConfigDict, values: Mapping[str, Any]) -> ml_collections.ConfigDict:
    changed = copy.deepcopy(config)
    changed.update_from_flattened_dict(values)
    return changed


def _acts(name: str, config: ml_collections.ConfigDict, reads: Collection[str]) -> bool:
    return acts(schema.keys()[name], Asked(values_of(config), reads, readers))


def set_by_preset(config: ml_collections.ConfigDict, filled: ml_collections.ConfigDict) -> list[str]:
    """The keys that a preset has filled in."""
    names = (key.name for key in schema.keys().values())
    return [name for name in names if schema.value_of(config, name) != schema.value_of(filled, name)]


def _fits(config: ml_collections.ConfigDict) -> bool:
    """Whether the numbers of a search go together. Where they do not without the preset, the run says so later."""
    search = config.search
    if search.calibration_trainings and not (search.calibration_loss or config.comparison.handcrafted):
        return False
    try:
        values_of(config)
        wiring.make_budget(drawn_config(config))
    except UserError:
        return False
    return True


def written_values(config: ml_collections.ConfigDict, names: Collection[str]) -> str:
    """`search.seeds_per_candidate=3, ...`."""
    return ", ".join(f"{name}={schema.value_of(config, name)}" for name in names)
