"""What chooses among candidates before one is trained."""

from collections.abc import Mapping

import ml_collections

from jaxloss.config.schema import read
from jaxloss.config.wiring import make_search, make_sections
from jaxloss.core.abstract import named_errors, written
from jaxloss.core.errors import UserError
from jaxloss.filters.cascade import Cascade
from jaxloss.runs.checkpoints import Checkpoints
from jaxloss.search.chooser import Chooser, ChooserContext
from jaxloss.search.settings import SurrogateSettings
from jaxloss.search.surrogate import SurrogateChooser
from jaxloss.spaces.base import Space
from jaxloss.spaces.output_gradients import OutputGradients

Config = ml_collections.ConfigDict


def make_chooser(
    config: Config,
    space: Space,
    cascades: Mapping[str, Cascade],
    checkpoints: Checkpoints,
    gradients: OutputGradients | None,
    own_first: bool = False,
) -> Chooser | None:
    """The chooser of the main search, or None where none is asked for; where `own_first`, that of the space before another one.

    Raises:
      UserError: where two are asked for, or the search keeps the best of a generation; and where the space makes a mistake.
    """
    own = _chooser_of(config, space, cascades, checkpoints)
    if own is not None and make_search(config, space, (), config.search.name).kept is not None:
        raise UserError(
            f"search.name={config.search.name} keeps the best of a generation by its filters, and the space {space.name} chooses "
            "what is trained too: let one of them choose"
        )
    settings = read(config, SurrogateSettings)
    if settings.candidates == 1 or (own is not None and own_first):
        return own
    if own is not None:
        raise UserError(
            f"search.surrogate.candidates = {settings.candidates}, and the space {space.name} chooses what is trained too: "
            "let one of them choose"
        )
    return SurrogateChooser(gradients, settings)


def _chooser_of(config: Config, space: Space, cascades: Mapping[str, Cascade], checkpoints: Checkpoints) -> Chooser | None:
    """The chooser that a space brings, where its settings ask for one."""
    if space.make_chooser is None:
        return None
    context = ChooserContext(space, cascades, make_sections(config, space), config.seed, checkpoints)
    what = f"make_chooser of the space {space.name}"
    with named_errors(what):
        chooser = space.make_chooser(context)
    if chooser is not None and not all(callable(getattr(chooser, name, None)) for name in ("candidates", "choose")):
        raise UserError(f"{what} must give a Chooser, with the functions candidates and choose, or None, not {written(chooser)}")
    return chooser
