"""A command that follows a run may be given before the run has begun: it waits for it."""

import time
from collections.abc import Callable
from pathlib import Path

from jaxloss.core.errors import UserError
from jaxloss.runs.claim import is_beginning
from jaxloss.runs.directory import open_for_reading


def wait_for_run(workdir: str | Path, seconds: float, say: Callable[[str], None]) -> None:
    """Returns as soon as there is a run to be read in `workdir`.

    Args:
      workdir: of a run that has begun, or will.
      seconds: between two looks.
      say: is told in one line that nothing is there yet, once.

    Raises:
      UserError: no run can be awaited there: the folder in which it would be made is missing, or something else is there.
    """
    path, has_said = Path(workdir), False
    while True:
        try:
            with open_for_reading(path):
                return
        except UserError:
            parent = path.absolute().parent
            if not parent.is_dir():
                raise UserError(f"no run can be awaited in '{path}': there is no folder '{parent}'") from None
            if not is_beginning(path):
                raise
        if not has_said:
            say(f"no run has begun in '{path}' yet: waiting for it")
            has_said = True
        time.sleep(seconds)
