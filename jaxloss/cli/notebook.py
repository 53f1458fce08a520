"""What a run shows in a notebook while it works: a bar that is updated in place, and the lines that stay above it."""

import html
import sys
from typing import Any

from jaxloss.cli.progress import ConsoleProgress

# Ten times a second would fill the file of the notebook with messages.
_INTERVAL = 0.5
_BAR = (
    '<div style="font-family: monospace; white-space: pre-wrap">{messages}'
    '<progress value="{done}" max="{total}" style="width: 20em"></progress> {line}</div>'
)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


class NotebookProgress(ConsoleProgress):
    """A bar for each stage, in the output of the cell that runs."""

    def __init__(self, quiet: bool = False):
        super().__init__(quiet, _INTERVAL)
        self._interval, self._quiet = _INTERVAL, quiet
        self._messages: list[str] = []
        self._handle: Any = None
        self._shown = (0, 1, "")

    def message(self, text: str) -> None:
        """One line that stays."""
        self._messages.append(text)
        self._display()

    def _show(self, line: str, done: int, total: int) -> None:
        self._shown = (done, total, line)
        self._display()

    def _display(self) -> None:
        if self._quiet:
            return
        from IPython.display import HTML, display  # there is one, where this is used

        done, total, line = self._shown
        messages = "".join(f"{html.escape(text)}\n" for text in self._messages)
        bar = HTML(_BAR.format(messages=messages, done=done, total=max(1, total), line=html.escape(line)))
        if self._handle is None:
            self._handle = display(bar, display_id=True)
        else:
            self._handle.update(bar)
