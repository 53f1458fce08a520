"""What the filters of a run declare, as its archive keeps it: a report explains the draws without the filters."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

FILTERS = "filters"  # the state in a run's archive that holds the declarations, in the order in which a draw meets the filters

_TITLE = "stage"  # what archives call a title


@dataclasses.dataclass(frozen=True)
class DeclaredFilter:
    """What one filter may stop a draw for.

    Attributes:
      title: of the filter: what passing it means.
      reasons: label of a reason -> its words.
    """

    title: str
    reasons: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The declaration as JSON values."""
        return {_TITLE: self.title, "reasons": dict(self.reasons)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(stored[_TITLE], stored["reasons"])
