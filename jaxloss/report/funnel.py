"""The funnel: how many draws died where, and why, in words."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.filters.equivalence import EQUIVALENT_TO_TRAINED
from jaxloss.runs.declared import DeclaredFilter

_STOPPED = "the training met infinity or NaN and was stopped"


@dataclasses.dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
      title: the number in words.
      count: what is left here.
      percent: length of the bar on a logarithmic scale.
      percent_before: length of the bar above.
      losses: `(number, explanation)` of those that were lost on the way here, the larger first.
    """

    title: str
    count: int
    percent: float
    percent_before: float
    losses: tuple[tuple[int, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Funnel:
    """The bars from top to bottom, and the ticks of their scale: `(percent, text)`."""

    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]


def make_funnel(counts: Mapping[str, Any], filters: Sequence[DeclaredFilter]) -> Funnel | None:
    """The funnel of one search, or None where nothing was drawn.

    Args:
      counts: `proposed`, `rejected` (label -> number), `equivalent`, `trained`, `stopped_by_nan`.
      filters: in the order in which a draw meets them. Reasons that none of them declares come last, under their labels: those
        of a run that stored no declarations.
    """
    left = counts["proposed"]
    if not left:
        return None
    decades = max(1, math.ceil(math.log10(left)))

    def percent(number: int) -> float:
        # One is a short bar, zero is none.
        return 100 * (math.log10(number) + 0.25) / (decades + 0.25) if number else 0.0

    def bar(title: str, count: int, losses: tuple[tuple[int, str], ...] = ()) -> Bar:
        before = bars[-1].percent if bars else percent(count)
        return Bar(title, count, percent(count), before, losses)

    bars: list[Bar] = []
    bars.append(bar("losses drawn", left))
    rejected = dict(counts["rejected"])
    declared = {label for one in filters for label in one.reasons}
    others = {label: label.replace("_", " ") for label in rejected if label not in declared}
    for one in [*filters, *([DeclaredFilter("all other filters", others)] if others else [])]:
        lost = {words: rejected.get(label, 0) for label, words in one.reasons.items()}
        left -= sum(lost.values())
        bars.append(bar(f"passed {one.title}", left, _explained(lost)))
    equivalent = _explained({EQUIVALENT_TO_TRAINED.words: counts["equivalent"]})
    bars.append(bar("trained on the proxy task", counts["trained"], equivalent))
    stopped = counts["stopped_by_nan"]
    bars.append(bar("have a score", counts["trained"] - stopped, ((stopped, _STOPPED),) if stopped else ()))
    ticks = tuple((percent(10**decade), f"{10**decade:,}") for decade in range(decades + 1))
    return Funnel(tuple(bars), ticks)


def _explained(lost: Mapping[str, int]) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(((number, words) for words, number in lost.items() if number), key=lambda item: -item[0]))
