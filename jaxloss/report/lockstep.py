"""What a page says of searches in lock-step: rewards and numbers over the rounds, and the losses that were learned."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from jaxloss.core.abstract import named_errors
from jaxloss.report.figures import panel_caption, panel_figure
from jaxloss.report.lockstep_figures import numbers_figures, rewards_figure
from jaxloss.runs.directory import Run
from jaxloss.runs.rounds import RUNS, LockstepState, Round
from jaxloss.spaces.base import Space

# Losses of one search that are drawn, from the first round to the last.
_NUM_DRAWN = 5


def lockstep_section(run: Run, summary: Mapping[str, Any] | None, space: Space | None) -> dict[str, Any] | None:
    """The content of the section; None for a run without such searches.

    Args:
      run: that is reported.
      summary: of it, or None while it is unfinished.
      space: of the losses; None draws none.
    """
    states = {name: _state(run, name) for name in run.archive.state(RUNS) or ()}
    rounds = {name: state.rounds for name, state in states.items() if state is not None and state.rounds}
    if not rounds:
        return None
    facts = (summary or {}).get("lockstep", {})
    # The kept network's; of an unfinished run, the first.
    name = facts.get("best", next(iter(rounds)))
    others = [one for other, one in rounds.items() if other != name]
    return {
        "name": name,
        "rounds": len(rounds[name]),
        "searches": facts.get("searches", []),
        "schedule": facts.get("schedule"),
        "rewards": rewards_figure(rounds[name], others),
        "numbers": numbers_figures(rounds[name]),
        "losses": _drawn(rounds[name], space),
    }


def _state(run: Run, name: str) -> LockstepState | None:
    stored = run.archive.state(name)
    return None if stored is None else LockstepState.from_json(stored)


def _drawn(rounds: Sequence[Round], space: Space | None) -> list[dict[str, Any]]:
    """Centres of the distribution over the rounds, each with its panels."""
    if space is None or space.drawing is None or space.distribution is None:
        return []
    distribution = space.distribution
    places = sorted({round(place) for place in np.linspace(0, len(rounds) - 1, _NUM_DRAWN - 1)})
    candidates = [distribution.centre(distribution.start()), *(space.parse(rounds[place].centre) for place in places)]
    titles = ["before the first round", *(f"after round {rounds[place].number + 1}" for place in places)]
    with named_errors(f"draw of the drawing of the space {space.name}"):
        _, panels = space.drawing.draw(space, candidates)
    return [
        {"title": title, "panels": [_figure(f"round{index}", panel, title) for panel in of_one]}
        for index, (title, of_one) in enumerate(zip(titles, panels, strict=True))
    ]


def _figure(name: str, panel, label: str) -> tuple[Markup, Markup]:
    return panel_caption(panel), panel_figure(name, panel, f"the centre {label}")
