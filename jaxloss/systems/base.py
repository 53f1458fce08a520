"""What a system brings: a search space, the settings that it adds to a config, and the losses that its paper published."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jaxloss.core.settings import Settings
from jaxloss.spaces.base import Space


@dataclasses.dataclass(frozen=True)
class System:
    """One system, in a folder of its own. How its losses are filtered, chosen, drawn and exported is what its space can do.

    Attributes:
      name: of its space in configs.
      settings: the class of the config section `space.NAME`.
      make_space: `(settings) -> Space`.
      sections: the classes of further config sections; a space names those that it reads.
      published: name -> formula of its space.
      published_settings: name -> attributes of `settings`, of those that are no formulas of the space as it is by default: of the
        branches and the inputs that they are for.
      search_presets: name in `search.presets` -> dotted key -> value: what it adds to a way to search.
      preset: dotted key -> value: the numbers of its paper where they differ from the defaults, see `config.default_config`.
    """

    name: str
    settings: type[Settings]
    make_space: Callable[[Any], Space]
    sections: tuple[type[Settings], ...] = ()
    published: Mapping[str, str] = dataclasses.field(default_factory=dict)
    published_settings: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    search_presets: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    preset: Mapping[str, Any] = dataclasses.field(default_factory=dict)
