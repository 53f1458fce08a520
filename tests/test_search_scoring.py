"""How a search scores its candidates: over several divisions of the data, at a rate that was found for it."""

import pytest

from jaxloss.runs import open_for_reading
from tests.launch.command import refusal, run
from tests.short_comparison import SHORT_COMPARISON

# How candidates are scored does not depend on how they were screened, nor on what comes afterwards.
ALONE = ("filters.rejection.enabled=false", *(f"{key}={value}" for key, value in SHORT_COMPARISON.items()))


def trainings(path, stage):
    with open_for_reading(path) as directory:
        return [row for row in directory.archive.trainings() if row.stage == stage]


def test_the_trainings_of_a_candidate_go_round_the_divisions(tmp_path):
    path = tmp_path / "run"
    three = ("search.seeds_per_candidate=3", "search.divisions_per_candidate=2", "search.control=false")
    assert run(path, *three, *ALONE, "comparison.divisions=(4, 5, 6)", "comparison.handcrafted=()") == 0
    rows = trainings(path, "evolution")
    assert len(rows) == 6
    by_candidate = {}
    for row in rows:
        by_candidate.setdefault(row.hyperparameters["proposal"], []).append((row.seed, row.division))
    assert list(by_candidate.values()) == [[(0, 4), (1, 5), (2, 4)]] * 2


def test_the_rate_is_found_within_the_budget_and_used_by_all(tmp_path):
    path = tmp_path / "run"
    calibration = (
        "search.calibration_trainings=5",
        "search.divisions_per_candidate=2",
        "search.calibration_loss=focal",
        "search.num_trainings=11",
    )
    two = ("search.seeds_per_candidate=2", "comparison.handcrafted=('cross_entropy',)")
    assert run(path, *calibration, *two, *ALONE) == 0
    rows = trainings(path, "calibrate")
    # Two rates on the two starts of a candidate: a third rate would take more than there are.
    assert [row.seed for row in rows] == [0, 1, 0, 1]
    assert {row.loss for row in rows} == {"focal"}
    rates = sorted({row.learning_rate for row in rows})
    assert 0.003 < rates[0] < rates[1] < 3.0
    means = {rate: sum(row.score for row in rows if row.learning_rate == rate) for rate in rates}
    for search in ("evolution", "random_search"):
        of_search = trainings(path, search)
        assert len(of_search) == 6
        assert {row.learning_rate for row in of_search} == {max(means, key=means.get)}


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("search.divisions_per_candidate=2",), "needs as many trainings of a candidate"),
        (
            ("search.seeds_per_candidate=3", "search.divisions_per_candidate=3"),
            "search.divisions_per_candidate (3) is more than comparison.divisions has: (0, 1)",
        ),
        (("search.calibration_trainings=1",), "must be 0, or enough for two rates"),
        (("search.calibration_trainings=6",), "is not enough for one candidate"),
        (("search.calibration_loss=focal",), "config key search.calibration_loss does nothing in this run"),
        (("search.calibration_trainings=2", "search.calibration_loss=focl"), "Did you mean 'focal'?"),
        (("search.calibration_trainings=2", "comparison.handcrafted=()"), "needs a hand-crafted loss: name it in"),
        (("search.calibration_trainings=2", "search.calibration_loss=arcface"), "needs the input"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, capsys, overrides, says):
    assert says in refusal(tmp_path / "run", capsys, *overrides)
