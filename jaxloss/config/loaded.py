"""A config that knows which of its values its file said: all others were set for the run at hand."""

from collections.abc import Mapping
from typing import Any

import ml_collections


class LoadedConfig(ml_collections.ConfigDict):
    """The config of a file, changed by overrides or in Python; equal to any config with the same values.

    What it knows is no key, and is kept when it is copied.
    """

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.remember({})

    def remember(self, said: Mapping[str, Any]) -> None:
        """Keeps what the file said: dotted key -> value."""
        # An ordinary assignment would make a key of it.
        object.__setattr__(self, "_said", dict(said))

    @property
    def said(self) -> Mapping[str, Any]:
        """What the file said."""
        return self._said

    def __setstate__(self, state: Mapping[str, Any]):
        super().__setstate__(state)
        self.remember(state["_said"])

    def copy_and_resolve_references(self, visit_map: dict[int, Any] | None = None) -> "LoadedConfig":
        """See `ConfigDict.copy_and_resolve_references`."""
        copied = super().copy_and_resolve_references(visit_map)
        copied.remember(self.said)
        return copied

    def __eq__(self, other: object) -> bool:
        return self.eq_as_configdict(other)

    __hash__ = None
