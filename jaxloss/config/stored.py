"""The space of a run that was stored, from its config."""

from pathlib import Path

import ml_collections

from jaxloss.config.wiring import make_space
from jaxloss.core.errors import UserError
from jaxloss.runs.directory import open_for_reading
from jaxloss.spaces.base import Space


def stored_space(workdir: str | Path) -> tuple[Space | None, str]:
    """The space of a run's losses, and '' or why it cannot be made: a space from outside the package may be gone.

    Raises:
      UserError: there is no run in `workdir`.
    """
    with open_for_reading(workdir) as run:
        config = run.config
    try:
        return make_space(ml_collections.ConfigDict(config)), ""
    except (UserError, AttributeError, KeyError) as error:
        return None, str(error)
