"""Checks a configuration: every value against what is declared of it, and whether what is asked for acts at all."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections

from jaxloss.config import schema
from jaxloss.config.wiring import make_space, sections_read
from jaxloss.core.conditions import SPACE, TASK, Asked, Condition, When
from jaxloss.core.errors import UserError
from jaxloss.core.names import import_factory, takes
from jaxloss.systems.registry import SYSTEMS
from jaxloss.tasks.context import CONTEXT_KEYS, GIVEN
from jaxloss.tasks.registry import TASKS


def check_config(config: ml_collections.ConfigDict) -> None:
    """Checks every value, of all sections.

    Raises:
      UserError: names the key.
    """
    for section in schema.sections().values():
        schema.read(config, section.settings)


def acts(key: schema.Key, asked: Asked) -> bool:
    """Whether anything in a run reads a key."""
    return all(condition.unmet(key.name, asked) is None for condition in _conditions(key, asked))


def _conditions(key: schema.Key, asked: Asked) -> list[Condition]:
    return [*key.section.acts_when, *(() if key.name in (asked.reads[TASK] or ()) else key.declared.acts_when)]


def refuse_idle_keys(config: ml_collections.ConfigDict, overrides: Iterable[str] | None = None) -> None:
    """Refuses keys that nothing in a run reads.

    What a config file sets is looked at in the run that the file describes, with those of its keys that serve runs of other
    modes; what is set beside it, in the run at hand. So an override that puts another task in place makes no mistake of what
    the file says about its own.

    Args:
      config: of the run.
      overrides: keys that were set beside the file; None looks at all that differ from their defaults, as a config file's.

    Raises:
      UserError: names the key, who would read it, and what this run has instead.
    """
    asked = asked_by(config)
    for key in schema.keys().values():
        if asked.values[key.name] == key.default or not (overrides is None or named_in(key.name, overrides)):
            continue
        for condition in _conditions(key, asked):
            why = None if overrides is None and condition.is_preset else condition.unmet(key.name, asked)
            if why is not None:
                raise UserError(f"config key {key.name} does nothing in this run: {why}")


def serves_mode(name: str, mode: str) -> bool:
    """Whether a key may act in runs of a mode; of one that there is not it is for others to say."""
    key = schema.keys().get(name)
    conditions = [*key.section.acts_when, *key.declared.acts_when] if key is not None else []
    return all(one.holds(mode) for one in conditions if isinstance(one, When) and one.other == "mode")


def named_in(key: str, overrides: Iterable[str]) -> bool:
    """Whether overrides name a key, or one inside it where it is a section of options."""
    return any(override == key or override.startswith(f"{key}.") for override in overrides)


def asked_by(config: ml_collections.ConfigDict) -> Asked:
    """What a config asks for, for the conditions under which its keys act."""
    return Asked(values_of(config), reads_of(config), readers)


def reads_of(config: ml_collections.ConfigDict) -> dict[str, frozenset[str] | None]:
    """Part -> the keys and sections that it reads in this run; None where only the part itself would know."""
    return {TASK: _read_by_task(config), SPACE: _read_by_space(config)}


def values_of(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Dotted key -> value, as the settings of its section hold it.

    Raises:
      UserError: for a value that is wrong.
    """
    values = {}
    for section in schema.sections().values():
        settings = schema.read(config, section.settings)
        values |= {settings.key(name): getattr(settings, name) for name in schema.defaults(section.settings)}
    return values


def _read_by_task(config: ml_collections.ConfigDict) -> frozenset[str]:
    name = config.task.name
    if name in TASKS:
        return frozenset(TASKS[name].settings.reads)
    if name == GIVEN:
        return frozenset()
    try:
        return frozenset(CONTEXT_KEYS if takes(import_factory("task", name, TASKS), "context") else ())
    except UserError:
        return None  # said where it is needed


def _read_by_space(config: ml_collections.ConfigDict) -> frozenset[str] | None:
    try:
        return sections_read(make_space(config))
    except UserError:
        return None  # said where it is needed


@functools.cache
def _of_systems() -> Mapping[str, frozenset[str]]:
    return {name: sections_read(system.make_space(system.settings())) for name, system in SYSTEMS.items()}


def readers(part: str) -> Mapping[str, Any]:
    """Name in the registry -> keys and sections that this task, or this space, would read; see `core.conditions.Asked`."""
    return _of_systems() if part == SPACE else {name: frozenset(task.settings.reads) for name, task in TASKS.items()}
