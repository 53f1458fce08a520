"""Successive halving in a search: few trainings for the hopeless, many for the leaders."""

import pytest

from jaxloss.runs import Archive
from jaxloss.search.racing import Race, rungs
from tests.launch.command import refusal
from tests.workshop import Stopped, StopsAfter, Workshop

RACE = {"seeds_per_candidate": 4, "racing_first": 1, "racing_factor": 2, "generation_size": 3, "num_trainings": 17}


def test_the_numbers_of_trainings_go_up_to_all_of_them():
    assert rungs(0, 3, 9) == (9,)
    assert rungs(1, 3, 9) == (1, 3, 9)
    assert rungs(2, 3, 9) == (2, 6, 9)


def test_one_in_so_many_of_all_that_were_judged_goes_on():
    race = Race((1, 3), 3)
    assert race.going_on(0, [[0.5]]) == [0]
    assert race.going_on(0, [[0.4], [0.6], [0.45]]) == [1]
    assert race.going_on(0, [[0.55], [0.7], [0.58], [0.1], [0.62]]) == [1, 4]
    again = Race((1, 3), 3)
    for score in (0.5, 0.4, 0.6, 0.45):
        again.recall([score])
    assert again.going_on(0, [[0.55], [0.7], [0.58], [0.1], [0.62]]) == [1, 4]


@pytest.fixture(scope="module")
def workshop():
    workshop = Workshop()
    yield workshop
    workshop.execution.close()


def by_candidate(found):
    scores = {}
    for row in found["trainings"]:
        scores.setdefault(row.hyperparameters["proposal"], []).append(row)
    return scores


def test_the_leaders_have_all_trainings_and_the_hopeless_one(workshop, tmp_path):
    with Archive(tmp_path / "archive") as archive:
        loop = workshop.loop(archive, **RACE)
        loop.run()
        trainings, candidates = archive.trainings(), archive.candidates()
    scores = by_candidate({"trainings": trainings})
    numbers = sorted(len(rows) for rows in scores.values())
    assert numbers[0] == 1
    assert numbers[-1] == 4
    assert set(numbers) <= {1, 2, 4}
    assert sum(numbers) == loop.counts.trainings <= 17
    whole = {row.proposal: row for row in candidates if row.branch == "*" and row.training}
    for number, rows in scores.items():
        assert [row.seed for row in rows] == list(range(len(rows)))
        assert whole[number].score == pytest.approx(sum(row.score for row in rows) / len(rows))
    order = list(loop.search.best())
    assert order == sorted(order, key=lambda one: (-one.trainings, -one.score, one.number))
    assert {one.number: one.trainings for one in order} == {number: len(rows) for number, rows in scores.items()}


def test_a_race_that_stops_after_any_training_ends_the_same(workshop, tmp_path):
    expected = workshop.finished(tmp_path / "whole", **RACE)
    for count in range(0, 17, 2):
        path = tmp_path / f"stopped {count}"
        with Archive(path) as archive, pytest.raises(Stopped):
            workshop.loop(archive, StopsAfter(workshop.execution, count), **RACE).run()
        with Archive(path) as archive:
            # What was trained is not trained again.
            assert len(archive.trainings()) == count
        assert workshop.finished(path, **RACE) == expected


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("search.racing_first=1",), "must be less than search.seeds_per_candidate (1), or 0"),
        (("search.racing_factor=2",), "config key search.racing_factor does nothing in this run"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, capsys, overrides, says):
    assert says in refusal(tmp_path / "run", capsys, *overrides)
