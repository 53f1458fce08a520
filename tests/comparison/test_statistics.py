"""Intervals and differences in pairs, and what is said of them."""

import numpy as np
import pytest
from scipy import stats

from jaxloss.study.comparison import TestResult as Result  # pytest would collect it by its own name
from jaxloss.study.comparison import paired_difference
from jaxloss.study.contender import FOUND, GIVEN, HANDCRAFTED, RANDOM_SEARCH, Contender, TuningPoint
from jaxloss.study.statistics import crossed_interval, mean_interval
from jaxloss.study.tables import difference_rows, headline
from tests.comparison.pretence import FORMULA, SPACE


def result(name, values):
    return Result(Contender(name, GIVEN, SPACE, FORMULA), TuningPoint(0.1), 0.5, {(0, i): x for i, x in enumerate(values)})


def table(values):
    """Scores `[D, S]` by division and seed."""
    return {(division, seed): score for (division, seed), score in np.ndenumerate(values)}


@pytest.mark.parametrize("count", [2, 5, 10])
def test_intervals_of_one_division_are_those_of_the_paired_t_test(count):
    random = np.random.default_rng(count)
    first, second = random.normal(0.9, 0.02, count), random.normal(0.88, 0.02, count)
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    found = paired_difference(result("a", first), result("b", second))
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    single = stats.ttest_1samp(first, 0).confidence_interval(0.95)
    assert (mean_interval(first).low, mean_interval(first).high) == (pytest.approx(single.low), pytest.approx(single.high))
    assert crossed_interval(table(first[:, None])) == crossed_interval(table(first[None])) == mean_interval(first)


def test_one_value_has_an_interval_without_width():
    assert mean_interval([0.7]) == mean_interval([0.7])
    assert (mean_interval([0.7]).low, mean_interval([0.7]).high, mean_interval([0.7]).count) == (0.7, 0.7, 1)


def test_pairs_must_match():
    with pytest.raises(ValueError, match="same divisions and seeds"):
        paired_difference(result("a", [0.1, 0.2]), result("b", [0.1]))


# --- divisions and seeds -----------------------------------------------------------------------------------------------------


def test_an_interval_over_divisions_and_seeds_by_hand():
    """Division means 0.2 and 0.4, seed means 0.2, 0.3 and 0.4: mean squares 0.06 and 0.02, of 1 and 2 degrees of freedom."""
    found = crossed_interval(table(np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]])))
    degrees = 0.08**2 / (0.06**2 / 1 + 0.02**2 / 2)
    half = stats.t.ppf(0.975, degrees) * np.sqrt(0.08 / 6)
    assert (found.mean, found.high - found.mean, found.mean - found.low) == pytest.approx((0.3, half, half))
    assert found.count == 6


def test_equal_scores_have_an_interval_without_width():
    found = crossed_interval(table(np.full((2, 3), 0.5)))
    assert (found.low, found.high) == (0.5, 0.5)


def test_every_pair_of_division_and_seed_is_needed():
    with pytest.raises(ValueError, match="every pair"):
        crossed_interval({(0, 0): 0.1, (0, 1): 0.2, (1, 0): 0.3})


@pytest.mark.parametrize(
    ("divisions", "seeds", "by_division", "by_seed", "least"),
    [
        (4, 5, 1.0, 0.0, 0.93),
        (4, 5, 0.0, 1.0, 0.93),
        (3, 4, 1.0, 1.0, 0.93),
        (3, 4, 0.0, 0.0, 0.93),
        (2, 5, 2.0, 0.3, 0.88),
    ],
)
def test_intervals_cover_the_mean_whatever_divisions_and_seeds_do(divisions, seeds, by_division, by_seed, least):
    """Where an interval over independent values covers it far less often: of 1,000 tables, whose mean is 0."""
    random = np.random.default_rng(0)
    tables = [
        random.normal(size=(divisions, seeds))
        + by_division * random.normal(size=(divisions, 1))
        + by_seed * random.normal(size=(1, seeds))
        for _ in range(1000)
    ]

    def coverage(intervals):
        return np.mean([one.low <= 0 <= one.high for one in intervals])

    assert coverage([crossed_interval(table(one)) for one in tables]) >= least
    if by_division or by_seed:
        assert coverage([mean_interval(one.ravel()) for one in tables]) < 0.85


@pytest.mark.parametrize(
    ("shift", "verdict", "not_behind"), [(0.1, "leads", True), (0.0, "ties", True), (-0.1, "is behind", False)]
)
def test_verdicts(shift, verdict, not_behind):
    noise = np.array([0.001, -0.001, 0.002, -0.002, 0.0])
    (row,) = difference_rows(result("a", 0.8 + shift + noise), [result("b", 0.8 - noise)], margin=0.01)
    assert (row["verdict"], row["not_behind"], row["pairs"]) == (verdict, not_behind, 5)
    (strict,) = difference_rows(result("a", 0.8 + shift + noise), [result("b", 0.8 - noise)], margin=0.0)
    assert strict["not_behind"] == (verdict == "leads")


@pytest.mark.parametrize(("kind", "rival"), [(FOUND, "modest"), (GIVEN, "found 2")])
def test_the_headline_is_against_what_is_best_on_search_eval(kind, rival):
    """Not on the test; rivals of a found loss are hand-crafted, those of a given one all others."""

    def made(name, kind, search_eval, test):
        return Result(Contender(name, kind, SPACE, FORMULA), TuningPoint(0.1), search_eval, {(0, 0): test, (0, 1): test + 0.01})

    first = made("first", kind, 0.9, 0.8)
    others = [
        made("lucky on test", HANDCRAFTED, 0.5, 0.99),
        made("modest", HANDCRAFTED, 0.6, 0.7),
        made("found 2", FOUND, 0.8, 0.75),
        made("random search 1", RANDOM_SEARCH, 0.3, 0.9),
        made("random search 2", RANDOM_SEARCH, 0.4, 0.6),
    ]
    judged = headline(first, others, 0.01)
    assert (judged["best_rival"]["second"], judged["random_search"]["second"]) == (rival, "random search 2")
    assert judged["random_search"]["mean"] == pytest.approx(0.2)
    assert headline(first, [], 0.01) == {"best_rival": None, "random_search": None}
