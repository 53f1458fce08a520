"""A filter of somebody else that answers well at first is named when it no longer does."""

import dataclasses

import pytest

from jaxloss.core.errors import UserError
from jaxloss.core.verdicts import Reason, Verdict
from jaxloss.filters.base import Cost, Screened
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.check import check_filter
from jaxloss.filters.equivalence import LossMemory
from tests.problems import BRANCH, graph

TOO_LONG, ELSEWHERE = Reason("too_long", "is too long"), Reason("elsewhere", "belongs to another filter")
GRAPHS = [graph("prediction"), graph("Neg(Mul(target, prediction))")]


@dataclasses.dataclass
class Answering:
    """Gives the same answers whatever it is asked."""

    answers: object
    cost: Cost = Cost.CALL
    name: str = "mine"
    title: str = "short enough"
    reasons: tuple = (TOO_LONG,)
    remembers: bool = False
    compilations: int = 0

    def check(self, expressions, known, memory):
        return self.answers


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([Screened()], "must give a list of Screened, one for each expression, not 1 for 2"),
        (None, "must give a list of Screened, one for each expression, not None"),
        ([Screened(), 3], "must give a list of Screened, one for each expression, not a list"),
        ([Screened(), Screened(Verdict(ELSEWHERE))], "for the reason 'elsewhere', which is not among its reasons"),
        ([Screened(), Screened(Verdict(TOO_LONG, "high"))], "must give a Verdict whose value is a number, and gives 'high'"),
        ([Screened(), Screened(signature=3)], "must give a Screened whose signature is a text or None, and gives 3"),
        ([Screened(), Screened(sketch=b"3")], "must give a Screened whose sketch is a text or None, and gives a bytes"),
    ],
)
def test_an_answer_that_is_none(answers, says):
    with pytest.raises(UserError) as caught:
        Cascade(BRANCH.name, BRANCH.form, [Answering(answers)]).screen(GRAPHS, LossMemory())
    assert "the filter 'mine'" in str(caught.value)
    assert says in str(caught.value)


class Raising(Answering):
    def check(self, expressions, known, memory):
        return {}["x"]


LOOKS_AT = {Cost.DRAW: lambda cascade: cascade.look(GRAPHS[0]), Cost.CALL: lambda cascade: cascade.screen(GRAPHS, LossMemory())}


@pytest.mark.parametrize("cost", LOOKS_AT)
def test_a_filter_that_raises(cost):
    cascade = Cascade(BRANCH.name, BRANCH.form, [Raising(None, cost)])
    with pytest.raises(UserError, match=r"check of the filter 'mine' raises KeyError: 'x' \(tests/test_filter_answers\.py, line"):
        LOOKS_AT[cost](cascade)


def test_an_undeclared_reason_at_a_draw():
    cascade = Cascade(BRANCH.name, BRANCH.form, [Answering([Screened(Verdict(ELSEWHERE))], Cost.DRAW)])
    with pytest.raises(UserError, match="the filter 'mine' stops an expression for the reason 'elsewhere'"):
        cascade.look(GRAPHS[0])


@pytest.mark.parametrize("label", ["Too Big!", "accepted", ""])
def test_a_reason_of_a_wrong_name(label):
    with pytest.raises(UserError, match="a reason is called by lower-case words joined by underscores, not"):
        check_filter("the filter", Answering([], reasons=(Reason(label, "words"),)))


@pytest.mark.parametrize("words", [3, " "])
def test_a_reason_without_words(words):
    with pytest.raises(UserError, match="the filter: words of the reason 'too_long' must be a text, not"):
        check_filter("the filter", Answering([], reasons=(Reason("too_long", words),)))


def test_a_filter_without_a_title():
    with pytest.raises(UserError, match="the filter: title must say in words what passing it means, and is empty"):
        check_filter("the filter", Answering([], title=""))
