"""A space from outside the package that is searched in lock-step, and the mistakes that its distribution may make."""

import dataclasses

import numpy as np
import pytest

import jaxloss
from examples.own_distribution import learned_polynomials
from jaxloss import launch
from jaxloss.core.errors import UserError
from jaxloss.spaces.check_distribution import check_distribution
from tests.am_lfs.test_run import CONTROLS_OFF, arguments_of

SPACE = learned_polynomials()


def with_function(name, function):
    return dataclasses.replace(SPACE, distribution=dataclasses.replace(SPACE.distribution, **{name: function}))


def test_it_is_searched_like_any_other(tmp_path):
    overrides = [f"lockstep.{one}" for one in CONTROLS_OFF]
    overrides += ["space.name=examples.own_distribution:learned_polynomials", "comparison.handcrafted=()"]
    assert launch.main(arguments_of(tmp_path / "run", *overrides)) == 0
    results = jaxloss.open_run(tmp_path / "run")
    assert results.comparison()["name"].tolist() == ["learned in lock-step"]
    assert results.summary["lockstep"]["schedule"] is None
    page = (tmp_path / "run/report.html").read_text()
    assert "weights of the distribution by round" in page
    assert len(results.candidates()) == 2 * 3 * 4


def test_the_one_that_is_registered_and_the_example_are_right():
    check_distribution(SPACE)
    check_distribution(jaxloss.make_space("am_lfs"))


@pytest.mark.parametrize(
    ("name", "function", "says"),
    [
        ("start", lambda: {"mean": np.zeros(4)}, "start of the distribution .* must give a dict of JSON values"),
        ("start", lambda: 1 / 0, "start of the distribution .* ZeroDivisionError"),
        ("sample", lambda state, generator, count: [], "sample of the distribution .* must give a list of 3 candidates"),
        (
            "sample",
            lambda state, generator, count: SPACE.distribution.sample(state, np.random.default_rng(), count),
            "must draw from the generator that it is given alone",
        ),
        ("update", lambda state, candidates, rewards: None, "update of the distribution .* must give a dict of JSON values"),
        ("centre", lambda state: {}, "centre of the distribution .* KeyError"),
        ("numbers", lambda state: {"weights": [np.nan]}, "numbers of the distribution .* must give {name: finite numbers}"),
    ],
)
def test_a_mistake_is_one_line(name, function, says):
    with pytest.raises(UserError, match=says) as error:
        check_distribution(with_function(name, function))
    assert "\n" not in str(error.value)
