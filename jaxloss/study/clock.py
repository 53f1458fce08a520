"""The wall time of a run."""

import time
from typing import Any

from jaxloss.runs.archive import CLOCK
from jaxloss.runs.directory import RunDirectory


class Clock:
    """Wall time over all starts of a run, stored in every transaction: a killed start counts as far as its work was kept.

    A start that finds the run finished and adds nothing to it does not count.
    """

    def __init__(self, run: RunDirectory):
        """Goes on from what is stored."""
        self._archive = run.archive
        self._earlier = (run.archive.state(CLOCK) or {}).get("seconds", 0.0)
        self._started = time.perf_counter()
        self._counts = run.read_summary() is None
        self._total: float | None = None
        run.archive.every_commit = self._state

    def stop(self) -> float:
        """Stores and returns the seconds; a second call returns the same."""
        if self._total is None:
            self._total = self._seconds() if self._counts else self._earlier
            if self._counts:
                self._archive.commit()
        return self._total

    def _seconds(self) -> float:
        return self._earlier + time.perf_counter() - self._started

    def _state(self) -> dict[str, Any]:
        self._counts = True
        return {CLOCK: {"seconds": self._seconds() if self._total is None else self._total}}
