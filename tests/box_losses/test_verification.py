"""Convergence property verification: which losses have the properties of Section 3.2.2, and which lack one."""

import functools

import numpy as np
import pytest

from jaxloss.core.verdicts import ACCEPTED
from jaxloss.filters.base import Screened
from jaxloss.filters.equivalence import LossMemory
from jaxloss.systems.cse_autoloss.paths import MOVES, paths_of
from jaxloss.systems.cse_autoloss.settings import VerificationSettings
from jaxloss.systems.cse_autoloss.verification import PathSampler, VerificationFilter
from tests.box_losses.spaces import BRANCHES, areas, changed, form_of, named, negated
from tests.compilations import counted


@functools.cache
def verification(branch, **settings):
    return VerificationFilter(form_of(branch), branch, VerificationSettings(**settings))


def reasons(branch, texts, **settings):
    expressions = [form_of(branch).parse(text) for text in texts]
    found = verification(branch, **settings).check(expressions, [Screened()] * len(expressions), LossMemory())
    return [one.verdict.reason.label for one in found]


@pytest.mark.parametrize("branch", BRANCHES)
def test_published_and_known_losses_pass_and_their_negatives_do_not(branch):
    texts = list(named(branch).values())
    assert reasons(branch, texts) == [ACCEPTED.label] * len(texts)
    assert set(reasons(branch, map(negated, texts))) == {"not_falling" if branch == "classification" else "not_consistent"}


LACKING = {
    "classification": {
        # Linear in the score: falls for ever, at the same rate.
        "Mul(target, Neg(logits))": "not_rising",
        "Dot(target, Neg(logits))": "not_rising",
        "Add(Mul(target, Neg(logits)), Mul(Sub(1, target), logits))": "not_convergent",
        # Least at a score of 1, and rising beyond.
        "t1 = Sub(logits, target); Mul(t1, t1)": "not_falling",
        # Looks at wrong classes alone.
        "Mul(Sub(1, target), Sig(logits))": "not_falling",
        "Neg(Dot(target, Log(Sub(Sig(logits), 1))))": "not_computable",
    },
    "regression": {
        # Rises with the area of the prediction: to be nowhere would be best.
        "union": "not_consistent",
        "Div(Sub(enclosing, union), enclosing)": "not_consistent",
        "Sub(3, 2)": "not_consistent",
        "Log(Neg(Div(intersection, union)))": "not_computable",
        # Periodic in what it should rise with.
        "Sin(Mul(3, Mul(3, Sub(1, Div(intersection, union)))))": "not_consistent",
    },
}


@pytest.mark.parametrize("branch", BRANCHES)
def test_losses_that_lack_a_property(branch):
    expected = LACKING[branch]
    assert dict(zip(expected, reasons(branch, expected), strict=True)) == expected


def test_a_loss_may_be_looked_at_below_a_perfect_overlap():
    """The found loss for sigmoids has its least value where the score is the overlap: it falls no further."""
    text = named("classification")["cse_autoloss_b_classification"]
    assert reasons("classification", [text], overlaps=(1.0, 0.5)) == ["not_falling"]
    assert reasons("classification", [named("classification")["cei"]], overlaps=(1.0, 0.5)) == [ACCEPTED.label]


@pytest.mark.parametrize("branch", BRANCHES)
def test_values_and_slopes_are_those_of_the_loss(branch):
    settings = VerificationSettings(num_points=7, box_size=(4.0, 2.0), farthest=2.0, score_range=3.0)
    values, slopes = PathSampler(form_of(branch), branch, settings)(
        [form_of(branch).parse(named(branch)["cross_entropy" if branch == "classification" else "giou"])]
    )
    points = paths_of(branch, settings).points
    if branch == "classification":
        right, wrong = points
        np.testing.assert_allclose(values[0], [np.logaddexp(0, -right), np.logaddexp(0, wrong)], rtol=1e-9)
        np.testing.assert_allclose(slopes[0], [-1 / (1 + np.exp(right)), 1 / (1 + np.exp(-wrong))], rtol=1e-9)
        return
    box, sides = np.array([[-2.0, -1.0, 2.0, 1.0]]), np.array([4.0, 2.0])
    moved = {
        "right": lambda t: box + t * np.array([4.0, 0, 4.0, 0]),
        "down": lambda t: box + t * np.array([0, 2.0, 0, 2.0]),
        "both ways": lambda t: box + t * np.array([*sides, *sides]),
        "growing": lambda t: box * (1 + t),
        "shrinking": lambda t: box / (1 + t),
    }

    def giou(name, t):
        i, u, e = areas(moved[name](t), box)
        return (1 - i / u + (e - u) / e).item()

    expected = [[giou(name, t) for t in row] for name, row in zip(MOVES, points, strict=True)]
    np.testing.assert_allclose(values[0], expected, rtol=1e-12, atol=1e-15)
    # Away from t = 0 and t = 1, where boxes are one or part.
    inner = [index for index, t in enumerate(points[0]) if t > 0 and abs(t - 1) > 1e-9]
    rises = [[(giou(name, t + 1e-6) - giou(name, t - 1e-6)) / 2e-6 for t in points[0][inner]] for name in MOVES]
    np.testing.assert_allclose(slopes[0][:, inner], rises, rtol=1e-5, atol=1e-8)


def test_nothing_is_compiled_for_a_loss():
    one = verification("regression")
    reasons("regression", [named("regression")["iou"]])
    with counted() as compilations:
        texts = [changed(text, f"Add({{}}, {number})") for text in named("regression").values() for number in range(1, 30)]
        assert set(reasons("regression", texts)) == {ACCEPTED.label}
    assert not compilations
    assert one.compilations == 1
