"""What a search says when nothing passes its filters: which reasons stopped how many draws, and what would help."""

import re

import pytest

from jaxloss.core.errors import UserError
from jaxloss.core.verdicts import Reason, Verdict
from jaxloss.filters.base import Cost, Screened
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.contents import missing
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.gradient import ZERO_GRADIENT
from jaxloss.filters.rejection import NO_METRIC_GAIN
from jaxloss.filters.remembered_losses import EQUIVALENT_TO_REJECTED
from jaxloss.search.random_search import RandomSearch
from jaxloss.search.screening import resolve
from jaxloss.systems.autoloss_zero.space import autoloss_zero

SPACE = autoloss_zero()
NO_TARGET, SLOW = missing(frozenset({"target"})), Reason("slow", "takes too long")


class Stops:
    """A filter that stops what its `stops` says, for one reason."""

    name, title, remembers, compilations = "stops", "a filter that stops", False, 0

    def __init__(self, cost, reason, stops=lambda expression: True):
        self.cost, self.reasons, self.stops = cost, (reason,), stops

    def check(self, expressions, known, memory):
        stopped = Screened(Verdict(self.reasons[0]))
        return [stopped if self.stops(one) else before for one, before in zip(expressions, known, strict=True)]


def without_target(expression):
    return "target" not in str(expression)


LOOK = Stops(Cost.DRAW, NO_TARGET, without_target)


def message_of(max_attempts, *filters):
    (branch,), search = SPACE.branches, RandomSearch(SPACE, 0)
    cascades = {branch.name: Cascade(branch.name, branch.form, filters)}
    with pytest.raises(UserError) as error:
        resolve(search, [search.propose(0)], cascades, LossMemory(), 16, max_attempts)
    return str(error.value)


def stopped_in(message):
    """`(reason, number)` of those that the message names, in its order."""
    (counts,) = re.findall(r"\): (.*?);", message)
    return [(label, int(number.replace(",", ""))) for number, label in (one.split() for one in counts.split(", "))]


@pytest.mark.parametrize(
    ("reason", "is_the_gain"), [(NO_METRIC_GAIN, True), (EQUIVALENT_TO_REJECTED, True), (ZERO_GRADIENT, False), (SLOW, False)]
)
def test_a_lower_gain_is_advised_only_where_it_is_what_was_missed(reason, is_the_gain):
    """By the draws that came so far: most of those at random end at the look at their leaves, whatever the gain."""
    message = message_of(1_200, LOOK, Stops(Cost.DESCENT, reason))
    assert message.startswith("no candidate passed the filters in 1,200 draws (proposal 0, branch classification): ")
    assert message.endswith("change seed or raise filters.max_attempts")
    assert ("lower filters.rejection.minimum_gain" in message) == is_the_gain
    assert {label for label, _ in stopped_in(message)} == {NO_TARGET.label, reason.label}


def test_what_stops_fewer_than_others_gets_no_advice():
    message = message_of(
        1_200, LOOK, Stops(Cost.CALL, ZERO_GRADIENT, lambda one: len(str(one)) % 4), Stops(Cost.DESCENT, NO_METRIC_GAIN)
    )
    stopped = dict(stopped_in(message))
    assert 0 < stopped[NO_METRIC_GAIN.label] < stopped[ZERO_GRADIENT.label]
    assert "minimum_gain" not in message


def test_nothing_that_came_as_far_as_the_gain_gets_no_advice():
    message = message_of(5, Stops(Cost.DRAW, NO_TARGET), Stops(Cost.DESCENT, NO_METRIC_GAIN))
    assert stopped_in(message) == [(NO_TARGET.label, 5)]
    assert "minimum_gain" not in message


@pytest.mark.parametrize("reason", [NO_METRIC_GAIN, SLOW])
def test_every_draw_is_accounted_for(reason):
    """Also those behind the last one that passed the look at its leaves."""
    for max_attempts in range(1, 40):
        stopped = stopped_in(message_of(max_attempts, LOOK, Stops(Cost.CALL, reason)))
        assert sum(number for _, number in stopped) == max_attempts


def test_the_most_frequent_reasons_come_first_and_the_rest_together():
    reasons = [Reason(label, "is stopped") for label in ("first", "second", "third", "fourth", "fifth")]

    def longer_than(low):
        return lambda expression: len(str(expression)) % 10 >= low

    looks = [Stops(Cost.DRAW, reason, longer_than(low)) for reason, low in zip(reasons, (8, 6, 4, 2, 0), strict=True)]
    stopped = stopped_in(message_of(2_000, *looks))
    assert len(stopped) == 4
    assert stopped[-1][0] == "others"
    numbers = [number for _, number in stopped[:-1]]
    assert numbers == sorted(numbers, reverse=True)
    assert sum(number for _, number in stopped) == 2_000
