"""What a run shows while it works."""

import sys
import time
from typing import Protocol

from rich.console import Console


class _Counts(Protocol):
    proposed: int
    rejected: dict
    equivalent: int
    trained: int
    trainings: int
    stopped_by_nan: int


class ConsoleProgress:
    """Prints one line now and then: what was done, the best so far, and the time left in the stage.

    In a terminal the line is rewritten in place; elsewhere a new line is printed every `interval` seconds.
    """

    def __init__(self, quiet: bool = False, interval: float = 10.0):
        self.console = Console(stderr=True, highlight=False, quiet=quiet, soft_wrap=True)
        self._live = self.console.is_terminal and not quiet
        self._interval = 0.2 if self._live else interval
        self._stage, self._started, self._first, self._last, self._ended = "", 0.0, 0, 0.0, False

    def message(self, text: str) -> None:
        """Prints one line that stays."""
        self._clear()
        self.console.print(text, markup=False)

    def search(self, stage: str, counts: _Counts, best, total: int) -> None:
        """The line of a search."""
        reasons = sorted(counts.rejected.items(), key=lambda item: -item[1])
        rejected = f" ({', '.join(f'{reason} {number}' for reason, number in reasons)})" if reasons else ""
        shown = f"best {best.score:.4f} {best.text}" if best is not None else "best -"
        detail = f"proposed {counts.proposed}{rejected}; equivalent {counts.equivalent}; {shown}"
        self.step(stage, counts.trainings, total, detail)

    def step(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """The line of any stage that counts its steps."""
        now = time.monotonic()
        if stage != self._stage:
            self._clear()
            self._stage, self._started, self._first, self._last, self._ended = stage, now, done - 1, 0.0, False
        # The end of a stage is told at once, and once: what costs nothing may go on behind it.
        if now - self._last < self._interval and (done < total or self._ended):
            return
        self._last, self._ended = now, done >= total
        rate = (done - self._first) / max(now - self._started, 1e-3)
        left = f", {_clock((total - done) / rate)} left" if rate > 0 and 1 < done < total else ""
        self._show(f"{stage}: {done}/{total}{left}. {detail}", done, total)

    def _show(self, line: str, done: int, total: int) -> None:
        """Shows the line of a stage at work."""
        if not self._live:
            self.console.print(line, markup=False)
            return
        width = self.console.width - 1
        sys.stderr.write("\r\x1b[2K" + (line if len(line) <= width else line[: width - 3] + "..."))
        sys.stderr.flush()
        if done >= total:
            sys.stderr.write("\n")

    def _clear(self) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
