"""What a run tells of its work while it works; `jaxloss.cli.progress` shows it in a terminal."""

from typing import Any, Protocol


class Progress(Protocol):
    """Whoever wants to know how far a run is. It is called often, and decides itself what to show."""

    def message(self, text: str) -> None:
        """One line that stays."""

    def search(self, stage: str, counts: Any, best: Any, total: int) -> None:
        """How far a search is.

        Args:
          stage: name of the search.
          counts: what became of its draws, see `search.budget.Counts`.
          best: the best individual so far (`score`, `text`), or None.
          total: trainings that it may spend.
        """

    def step(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """How far any other stage is, in steps."""
