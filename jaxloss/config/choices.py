"""The keys that name a task and a space: one of a registry, or any module of yours."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from jaxloss.core.conditions import When
from jaxloss.core.settings import Settings, options, setting
from jaxloss.systems.registry import DEFAULT, SYSTEMS
from jaxloss.tasks.registry import TASKS


def _from_outside(key: str, registered: Collection[str]) -> tuple[When, ...]:
    return (When(key, lambda name: name not in registered, f"{key}=module:factory"),)


@dataclasses.dataclass(frozen=True)
class TaskChoice(Settings, section="task"):
    """What the network has to learn."""

    name: str = setting("classification", f"{', '.join(TASKS)}, or module:factory")
    options: Mapping[str, Any] = options("Arguments of a module:factory", acts_when=_from_outside("task.name", TASKS))


@dataclasses.dataclass(frozen=True)
class SpaceChoice(Settings, section="space"):
    """What losses are searched for."""

    name: str = setting(DEFAULT, f"{', '.join(SYSTEMS)}, or module:factory")
    options: Mapping[str, Any] = options("Arguments of a module:factory", acts_when=_from_outside("space.name", SYSTEMS))
