"""Intervals and differences in pairs, and what is said of them."""

import numpy as np
import pytest
from scipy import stats

from jaxloss.study.comparison import TestResult as Result  # pytest would collect it by its own name
from jaxloss.study.comparison import mean_interval, paired_difference
from jaxloss.study.contender import GIVEN, Contender, TuningPoint
from jaxloss.study.tables import difference_rows
from tests.comparison.pretence import FORMULA, SPACE


def result(name, values):
    return Result(Contender(name, GIVEN, SPACE, FORMULA), TuningPoint(0.1), 0.5, {(0, i): x for i, x in enumerate(values)})


@pytest.mark.parametrize("count", [2, 5, 10])
def test_intervals_are_those_of_the_paired_t_test(count):
    random = np.random.default_rng(count)
    first, second = random.normal(0.9, 0.02, count), random.normal(0.88, 0.02, count)
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    found = paired_difference(result("a", first), result("b", second))
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    single = stats.ttest_1samp(first, 0).confidence_interval(0.95)
    assert (mean_interval(first).low, mean_interval(first).high) == (pytest.approx(single.low), pytest.approx(single.high))


def test_one_value_has_an_interval_without_width():
    assert mean_interval([0.7]) == mean_interval([0.7])
    assert (mean_interval([0.7]).low, mean_interval([0.7]).high, mean_interval([0.7]).count) == (0.7, 0.7, 1)


def test_pairs_must_match():
    with pytest.raises(ValueError, match="same divisions and seeds"):
        paired_difference(result("a", [0.1, 0.2]), result("b", [0.1]))


@pytest.mark.parametrize(
    ("shift", "verdict", "not_behind"), [(0.1, "leads", True), (0.0, "ties", True), (-0.1, "is behind", False)]
)
def test_verdicts(shift, verdict, not_behind):
    noise = np.array([0.001, -0.001, 0.002, -0.002, 0.0])
    (row,) = difference_rows(result("a", 0.8 + shift + noise), [result("b", 0.8 - noise)], margin=0.01)
    assert (row["verdict"], row["not_behind"], row["pairs"]) == (verdict, not_behind, 5)
    (strict,) = difference_rows(result("a", 0.8 + shift + noise), [result("b", 0.8 - noise)], margin=0.0)
    assert strict["not_behind"] == (verdict == "leads")
