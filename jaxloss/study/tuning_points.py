"""Where a tuning looks: points spread over rate and hyper-parameters, then one after another near the best so far.

Rates are compared by their ratios throughout.
"""

import math
from collections.abc import Sequence

from scipy import stats

from jaxloss.spaces.hyperparameters import TuningRange
from jaxloss.study.contender import Contender, TuningPoint

# Half a decade: a step beyond the rates of a coarse grid would leap over whatever is there.
_LONGEST_STEP = math.sqrt(10)
# Rates nearer than one percent train alike.
_SAME_RATE = math.log(1.01)


def spread_points(contender: Contender, count: int, low: float, high: float) -> list[TuningPoint]:
    """`count` points over the learning rate and the contender's hyper-parameters, all of them inside the ranges.

    Every range is cut into `count` equal parts and met in the middle of each, however few there are; which part of one range
    meets which of another follows the ranks of a Halton sequence. So all contenders meet the same rates, and those that share
    further ranges the same pairs with them: none is ahead for having met a better one.
    """
    spans = {"learning_rate": TuningRange(low, high, low, logarithmic=True), **contender.tuning_ranges}
    sequence = stats.qmc.Halton(len(spans), scramble=False).random(count + 1)[1:]
    positions = (sequence.argsort(axis=0).argsort(axis=0) + 0.5) / count
    points = []
    for position in positions:
        values = {name: _scaled(span, x) for (name, span), x in zip(spans.items(), position, strict=True)}
        points.append(TuningPoint(values.pop("learning_rate"), {**contender.fixed, **values}))
    return points


def step_of(count: int, low: float, high: float) -> float:
    """The ratio of neighbouring rates among `count` spread points, at most half a decade."""
    return min((high / low) ** (1 / count), _LONGEST_STEP)


def next_rate(rates: Sequence[float], best: float, step: float) -> float:
    """The rate to try next: one step beyond the edge where the best lies there, else the middle of the wider gap beside it."""
    ordered = sorted(set(rates))
    place = ordered.index(best)
    if place == 0:
        return best / step
    if place == len(ordered) - 1:
        return best * step
    below, above = ordered[place - 1], ordered[place + 1]
    return math.sqrt(best * (above if above / best > best / below else below))


def edge_of(rates: Sequence[float], chosen: float) -> str:
    """`lower` or `upper` where no rate beyond the chosen one was tried; empty elsewhere."""
    return "lower" if chosen <= min(rates) else "upper" if chosen >= max(rates) else ""


def trains_alike(first: TuningPoint, second: TuningPoint) -> bool:
    """Whether two points are one for all purposes."""
    near = abs(math.log(first.learning_rate / second.learning_rate)) < _SAME_RATE
    return near and dict(first.hyperparameters) == dict(second.hyperparameters)


def _scaled(span: TuningRange, position: float) -> float:
    if span.logarithmic:
        return float(span.low * (span.high / span.low) ** position)
    return float(span.low + (span.high - span.low) * position)
