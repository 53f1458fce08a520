"""What a system brings: a search space, the settings that it adds to a config, and the losses that its paper published."""

import dataclasses
from collections.abc import Callable, Mapping

from jaxloss.spaces.base import Space


@dataclasses.dataclass(frozen=True)
class System:
    """One system, in a folder of its own. How its losses are filtered, chosen, drawn and exported is what its space can do.

    Attributes:
      name: of its space in configs.
      make_space: makes the space from the keys of the config section `space.NAME`.
      sections: dotted name of a further config section -> dataclass of its settings; a space names those that it reads.
      published: name -> formula of its space.
    """

    name: str
    make_space: Callable[..., Space]
    sections: Mapping[str, type] = dataclasses.field(default_factory=dict)
    published: Mapping[str, str] = dataclasses.field(default_factory=dict)
