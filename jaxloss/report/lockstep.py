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

# Losses of one search that are drawn, from the first round to the last: centres, the first one before it, and winners.
_NUM_CENTRES, _NUM_WINNERS = 5, 3


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


def _drawn(rounds: Sequence[Round], space: Space | None) -> list[tuple[str, list[dict[str, Any]]]]:
    """(heading, losses with their panels): centres of the distribution, and the losses that the network was trained with."""
    if space is None or space.drawing is None or space.distribution is None:
        return []
    distribution = space.distribution
    before = ("before the first round", distribution.centre(distribution.start()))
    around = [(f"after round {one.number + 1}", space.parse(one.centre)) for one in _spread(rounds, _NUM_CENTRES - 1)]
    # A round that left no copy has none.
    won = [one for one in rounds if one.formula is not None]
    winners = [(f"in round {one.number + 1}", space.parse(one.formula)) for one in _spread(won, _NUM_WINNERS)]
    titled = [before, *around, *winners]
    with named_errors(f"draw of the drawing of the space {space.name}"):
        _, panels = space.drawing.draw(space, [candidate for _, candidate in titled])
    figures = [
        {"title": title, "panels": [_figure(f"round{index}", panel, title) for panel in of_one]}
        for index, ((title, _), of_one) in enumerate(zip(titled, panels, strict=True))
    ]
    count = 1 + len(around)
    groups = [("The loss in the centre, over time", figures[:count])]
    return [*groups, ("The losses that the network was trained with", figures[count:])] if winners else groups


def _spread(rounds: Sequence[Round], count: int) -> list[Round]:
    """At most so many of them, from the first to the last."""
    if not rounds:
        return []
    places = sorted({round(place) for place in np.linspace(0, len(rounds) - 1, count)})
    return [rounds[place] for place in places]


def _figure(name: str, panel, label: str) -> tuple[Markup, Markup]:
    return panel_caption(panel), panel_figure(name, panel, f"the loss {label}")
