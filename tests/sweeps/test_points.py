"""Which runs a sweep has, and what they are called."""

import pytest

from jaxloss.sweeps.points import Point, chosen_points, points_of
from tests.errors import user_error


def test_all_combinations_named_by_what_differs():
    points = points_of({"seed": [0, 1], "task.classification.noise_rate": [0.4], "training.learning_rate": (0.1, 0.2)})
    assert [point.name for point in points] == [f"seed={s},learning_rate={r}" for s in (0, 1) for r in (0.1, 0.2)]
    assert points[0].overrides == {"seed": "0", "task.classification.noise_rate": "0.4", "training.learning_rate": "0.1"}


def test_single_points_and_keys_with_one_ending():
    points = points_of([{"a.rate": 1, "b.rate": True}, {"a.rate": 2, "losses": ("x y", "z")}, {"mode": "train"}])
    assert [point.name for point in points] == ["a.rate=1,b.rate=True", "a.rate=2,losses=x_y_z", "mode=train"]
    assert points[1].overrides["losses"] == "('x y', 'z')"
    assert points_of([{"seed": 1}]) == [Point("run", {"seed": "1"})]


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        (3, "get_sweep() must return {key: [values]} for all combinations, or [{key: value}, ...] for single runs, not 3"),
        ({"seed": 3}, ": a value is no list"),
        ({"mode": "train"}, ": a value is no list"),
        ({}, ": there is no point in it"),
        ([], ": there is no point in it"),
        ({"seed": []}, ": there is no point in it"),
        ({"seed": [1, 1]}, "two points of the sweep are the same: run"),
        ([{"seed": 1}, {"seed": 2}, {"seed": 1}], "two points of the sweep are the same: seed=1"),
    ],
)
def test_what_is_no_sweep(sweep, says):
    with user_error(says):
        points_of(sweep)


def test_a_part_of_the_points():
    points = points_of({"seed": [0, 1], "training.learning_rate": [0.1, 0.2]})
    assert [one.name for one in chosen_points(points, {"seed": "1", "learning_rate": "0.2"})] == ["seed=1,learning_rate=0.2"]
    assert chosen_points(points, {"training.learning_rate": "0.1"}) == points[::2]
    with user_error("no point of the sweep has seed=7"):
        chosen_points(points, {"seed": "7"})
    with user_error("unknown key of the sweep 'sed'. Did you mean 'seed'"):
        chosen_points(points, {"sed": "1"})
