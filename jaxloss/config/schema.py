"""All sections of the configuration, gathered from the settings of the rooms and the registries.

A config file has a function `get_config()` that starts from `default_config()`. All keys can be overridden on the command
line: `--config.search.num_trainings=500`.
"""

import dataclasses
import functools
import types
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import ml_collections

from jaxloss.config.choices import SpaceChoice, TaskChoice
from jaxloss.core.conditions import SPACE, Condition, ReadBy, when
from jaxloss.core.errors import unknown
from jaxloss.core.settings import Declaration, Settings, declarations, defaults, parts
from jaxloss.execution.settings import ExecutionSettings
from jaxloss.filters.settings import FilterSettings
from jaxloss.search.lockstep_settings import LockstepSettings
from jaxloss.search.registry import SEARCHES
from jaxloss.search.settings import SearchSettings
from jaxloss.study.comparison_settings import ComparisonSettings
from jaxloss.study.settings import RunSettings
from jaxloss.systems.registry import DEFAULT, SYSTEMS
from jaxloss.tasks.registry import TASKS
from jaxloss.tasks.settings import TrainingSettings

Kind = TypeVar("Kind", bound=Settings)


@dataclasses.dataclass(frozen=True)
class Section:
    """One section of the configuration.

    Attributes:
      settings: the class that declares its keys.
      acts_when: the conditions under which anything of it is read.
    """

    settings: type[Settings]
    acts_when: tuple[Condition, ...]

    @property
    def name(self) -> str:
        """Dotted name, empty for the top level."""
        return self.settings.section


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of the configuration.

    Attributes:
      name: dotted.
      default: its value where nothing else is said.
      declared: everything else.
      section: that it stands in.
    """

    name: str
    default: Any
    declared: Declaration
    section: Section


# Classes of the settings that registries name: of tasks, systems (with those of their sections) and searches.
Registered = tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]


def sections() -> Mapping[str, Section]:
    """Dotted name -> section; the top level has an empty one."""
    return _sections(_registered())


def keys() -> Mapping[str, Key]:
    """Dotted name -> key, section by section."""
    return _keys(_registered())


def _registered() -> Registered:
    """What the registries hold now: more may have been put in since they were last asked."""
    return (
        tuple((name, task.settings) for name, task in TASKS.items()),
        tuple((name, system.settings, tuple(system.sections)) for name, system in SYSTEMS.items()),
        tuple((name, search.settings_class) for name, search in SEARCHES.items() if search.settings_class is not None),
    )


# Both are asked for again with every key that is looked up.
@functools.lru_cache(maxsize=4)
def _sections(registered: Registered) -> Mapping[str, Section]:
    tasks, systems, searches = registered
    gathered = [
        *_tree(RunSettings),
        *_tree(TaskChoice),
        *(one for name, settings in tasks for one in _tree(settings, when("task.name", name))),
        *_tree(SpaceChoice),
        *(one for name, settings, _ in systems for one in _tree(settings, when("space.name", name))),
        *_tree(SearchSettings),
        *(one for name, settings in searches for one in _tree(settings, when("search.name", name))),
        *_tree(LockstepSettings),
        *_tree(FilterSettings),
        *(one for *_, kinds in systems for kind in kinds for one in _tree(kind, ReadBy(SPACE))),
        *_tree(TrainingSettings),
        *_tree(ExecutionSettings),
        *_tree(ComparisonSettings),
    ]
    return types.MappingProxyType({section.name: section for section in gathered})


@functools.lru_cache(maxsize=4)
def _keys(registered: Registered) -> Mapping[str, Key]:
    listed = [
        Key(section.settings.key(name), default, declarations(section.settings)[name], section)
        for section in _sections(registered).values()
        for name, default in defaults(section.settings).items()
    ]
    return types.MappingProxyType({key.name: key for key in listed})


def _tree(settings: type[Settings], *conditions: Condition) -> Iterator[Section]:
    """The section of a class, and those inside it."""
    yield Section(settings, (*conditions, *settings.acts_when))
    for kind in parts(settings).values():
        yield from _tree(kind, *conditions)


def default_config(system: str = DEFAULT) -> ml_collections.ConfigDict:
    """All keys with their defaults, and a system's numbers where they differ.

    Locked: a misspelt key is an error; sections of options take any key.

    Args:
      system: name of it, see `System.preset`.

    Raises:
      UserError: for an unknown system.
    """
    if system not in SYSTEMS:
        raise unknown("system", system, SYSTEMS)
    nested: dict[str, Any] = {}
    for key in keys().values():
        *path, name = key.name.split(".")
        inside = functools.reduce(lambda outer, part: outer.setdefault(part, {}), path, nested)
        # A key that takes several values, too, has no one type.
        inside[name] = ml_collections.FieldReference(key.default, field_type=object) if key.declared.several else key.default
    config = ml_collections.ConfigDict(nested)
    config.lock()
    for key in keys().values():
        if key.declared.is_options:
            section_of(config, key.name).unlock()
    config.update_from_flattened_dict(dict(SYSTEMS[system].preset))
    return config


def section_of(config: ml_collections.ConfigDict, name: str) -> ml_collections.ConfigDict:
    """The part of a config with a dotted name."""
    return functools.reduce(lambda outer, part: outer[part], filter(None, name.split(".")), config)


def value_of(config: ml_collections.ConfigDict, name: str) -> Any:
    """The value of a key as its settings would hold it, be it right or not."""
    *path, field = name.split(".")
    return _plain(section_of(config, ".".join(path))[field], keys()[name].default)


def read(config: ml_collections.ConfigDict, settings: type[Kind]) -> Kind:
    """The settings of one section of a config. What a stored config of an earlier version lacks has its default.

    Raises:
      UserError: for a value that is wrong.
    """
    try:
        section = section_of(config, settings.section)
    except KeyError:
        return settings()
    given = {name: _plain(section[name], default) for name, default in defaults(settings).items() if name in section}
    return settings(**given, **{name: read(config, kind) for name, kind in parts(settings).items()})


def _plain(value: Any, default: Any) -> Any:
    if isinstance(value, ml_collections.ConfigDict):
        return value.to_dict()
    return tuple(value) if isinstance(default, tuple) and isinstance(value, list) else value


# Keys that may differ when a run is continued; all others decide what is in the archive already.
MAY_CHANGE = tuple(name for name, key in keys().items() if key.declared.may_change)


def moved_keys() -> dict[str, str]:
    """Key of an earlier version -> what it is called now."""
    return {former: key.name for key in keys().values() for former in key.declared.formerly}


def gone_keys() -> dict[str, str]:
    """Key that only earlier versions had -> what takes its place."""
    return {section.settings.key(name): why for section in sections().values() for name, why in section.settings.gone.items()}


def upgraded(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A config that an earlier version stored, dotted key -> value, with the keys of today.

    What an earlier version did not know did what its default does now, with the seed of that run.
    """
    moved, gone = moved_keys(), gone_keys()
    given = {moved.get(name, name): value for name, value in stored.items() if name not in gone}
    options = {name for name, key in keys().items() if key.declared.is_options}
    filled = {option for option in options if any(name.startswith(f"{option}.") for name in given)}
    # A run stores the numbers that follow from its seed, not that they follow.
    drawn = {
        section.settings.key(name): value
        for section in sections().values()
        for name, value in vars(section.settings().drawn(stored.get("seed", 0))).items()
    }
    return {name: drawn[name] for name in keys() if name not in filled} | given
