"""The funnel: how many draws died where, and why, in words."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from jaxloss.core.types import Reason

# In the order in which a draw meets them. Of the kinds of description, one is in use: margin-based losses have curves.
_CURVES = (Reason.OWN_NOT_RISING, Reason.OTHER_NOT_RISING, Reason.OWN_ABOVE_OTHER)
_STAGES = (
    ("a look at the leaves", (Reason.NO_PREDICTION, Reason.NO_TARGET)),
    ("a look at the curves", _CURVES),
    ("one gradient", (Reason.NON_FINITE_GRADIENT, Reason.ZERO_GRADIENT)),
    ("the memory of rejected losses", (Reason.EQUIVALENT_TO_REJECTED,)),
    ("the rejection protocol", (Reason.NON_FINITE_OPTIMISATION, Reason.NO_METRIC_GAIN)),
    ("the choice of the most promising", (Reason.NOT_PROMISING,)),
)
# Shown only where something was lost there, or where the other kind of description is not in use.
_ONLY_WITH_LOSSES = {_CURVES, (Reason.NOT_PROMISING,)}
_ONLY_WITHOUT_CURVES = {(Reason.NO_PREDICTION, Reason.NO_TARGET), (Reason.NON_FINITE_GRADIENT, Reason.ZERO_GRADIENT)}

EXPLANATIONS: Mapping[Reason, str] = {
    Reason.ACCEPTED: "passed every filter",
    Reason.NO_PREDICTION: "does not contain the prediction: nothing to learn from",
    Reason.NO_TARGET: "does not contain the target: it cannot know what is right",
    Reason.NON_FINITE_GRADIENT: "its gradient is infinite or not a number",
    Reason.ZERO_GRADIENT: "its gradient is zero everywhere: training would stand still",
    Reason.EQUIVALENT_TO_TRAINED: "is equivalent to a loss that was trained before, and takes over its score",
    Reason.EQUIVALENT_TO_REJECTED: "is equivalent to a loss that was rejected before",
    Reason.NON_FINITE_OPTIMISATION: "ran into infinity while a few predictions were optimised with it, without a network",
    Reason.OWN_NOT_RISING: "its curve t does not rise with the cosine: the own class would be pushed away",
    Reason.OTHER_NOT_RISING: "its curve n does not rise with the cosine: other classes would be drawn near",
    Reason.OWN_ABOVE_OTHER: "its curve t lies above n: there is no margin between the classes",
    Reason.NOT_PROMISING: "another one of the same round was predicted to score better",
    Reason.NO_METRIC_GAIN: "a few predictions were optimised with it, without a network, and the metric did not rise enough",
}


_STOPPED = "the training met infinity or NaN and was stopped"


@dataclasses.dataclass(frozen=True)
class Stage:
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

    stages: tuple[Stage, ...]
    ticks: tuple[tuple[float, str], ...]


def make_funnel(counts: Mapping[str, Any]) -> Funnel | None:
    """The funnel of one search, or None where nothing was drawn.

    Args:
      counts: `proposed`, `rejected` (label -> number), `equivalent`, `trained`, `stopped_by_nan`.
    """
    left = counts["proposed"]
    if not left:
        return None
    decades = max(1, math.ceil(math.log10(left)))

    def percent(number: int) -> float:
        # One is a short bar, zero is none.
        return 100 * (math.log10(number) + 0.25) / (decades + 0.25) if number else 0.0

    def stage(title: str, count: int, losses: tuple[tuple[int, str], ...] = ()) -> Stage:
        before = bars[-1].percent if bars else percent(count)
        return Stage(title, count, percent(count), before, losses)

    bars: list[Stage] = []
    bars.append(stage("losses drawn", left))
    rejected = dict(counts["rejected"])
    has_curves = any(reason.label in rejected for reason in _CURVES)
    for check, reasons in _STAGES:
        lost = {reason: rejected.get(reason.label, 0) for reason in reasons}
        has_lost = any(lost.values())
        if (reasons in _ONLY_WITH_LOSSES or (has_curves and reasons in _ONLY_WITHOUT_CURVES)) and not has_lost:
            continue
        left -= sum(lost.values())
        losses = _explained(lost)
        bars.append(stage(f"passed {check}", left, losses))
    equivalent = _explained({Reason.EQUIVALENT_TO_TRAINED: counts["equivalent"]})
    bars.append(stage("trained on the proxy task", counts["trained"], equivalent))
    stopped = counts["stopped_by_nan"]
    bars.append(stage("have a score", counts["trained"] - stopped, ((stopped, _STOPPED),) if stopped else ()))
    ticks = tuple((percent(10**decade), f"{10**decade:,}") for decade in range(decades + 1))
    return Funnel(tuple(bars), ticks)


def _explained(lost: Mapping[Reason, int]) -> tuple[tuple[int, str], ...]:
    found = sorted(((number, EXPLANATIONS[reason]) for reason, number in lost.items() if number), key=lambda item: -item[0])
    return tuple(found)
