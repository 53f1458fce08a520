"""The space of a run that was stored, from its config."""

from pathlib import Path

import ml_collections

from jaxloss.config.wiring import make_space
from jaxloss.core.errors import UserError
from jaxloss.runs.directory import open_for_reading
from jaxloss.spaces.base import Space


def stored_space(workdir: str | Path) -> Space:
    """The space of a run's losses.

    Raises:
      UserError: there is no run in `workdir`, or its space cannot be made any more: one from outside the package may be gone.
    """
    with open_for_reading(workdir) as run:
        config = run.config
    try:
        return make_space(ml_collections.ConfigDict(config))
    except (UserError, AttributeError, KeyError) as error:
        raise UserError(f"the losses of '{workdir}' cannot be read: {error}") from error
