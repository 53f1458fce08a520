"""Searches that NaN ends: the run goes on with their last good weights, and says so wherever their score stands."""

import contextlib
import io

import pytest

import jaxloss
from jaxloss import launch
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.execution.choice import Parallelism
from jaxloss.runs import open_for_reading
from jaxloss.tasks.base import TEST
from tests.am_lfs.dying import SECOND
from tests.am_lfs.test_run import TINY, arguments_of

OVERRIDES = [f"lockstep.{one}" for one in ("longer=false", "best_of=false", "rate=given")]
OVERRIDES.append("comparison.handcrafted=()")


def arguments(workdir, space, quiet="true"):
    return arguments_of(workdir, *OVERRIDES, f"space.name=tests.am_lfs.dying:{space}", f"quiet={quiet}")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run, and what it has told: its second search has no copy at all; without learning, the first has some in one round."""
    workdir, told = tmp_path_factory.mktemp("dying") / "run", io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        assert launch.main(arguments(workdir, "second_dies", quiet="false")) == 0
    return workdir, " ".join(told.getvalue().split())


def test_the_run_goes_on_to_its_end(finished):
    summary = jaxloss.open_run(finished[0]).summary
    assert [row["name"] for row in summary["comparison"]] == [
        "learned in lock-step",
        "replayed schedule",
        "last centre",
        "fixed best loss",
        "random in lock-step",
    ]
    facts = [(one["name"], one["steps"], one["ended_early"], one["lost_rounds"]) for one in summary["lockstep"]["searches"]]
    assert facts == [
        ("lockstep_0", 18, False, 0),
        ("lockstep_1", 0, True, 3),
        ("lockstep_random_0", 6, True, 3),
        ("lockstep_random_1", 0, True, 3),
    ]
    assert summary["lockstep"]["best"] == "lockstep_0"


def test_a_search_without_any_copy_is_tested_with_the_network_that_it_began_with(finished):
    execution = make_plan(load_config(str(TINY))).make_execution(Parallelism("serial"))
    untrained = execution.untrained_scores(SECOND, 0, TEST)["accuracy"]
    execution.close()
    for row in jaxloss.open_run(finished[0]).summary["comparison"]:
        scores = {seed: score for _, seed, score in row["tuned"]["scores"]}
        if row["name"].endswith("in lock-step"):
            assert scores[SECOND] == untrained
        else:
            # Those take a loss from the one search that has one.
            assert scores[SECOND] > untrained


def test_it_is_said_as_it_happens_in_the_final_table_and_on_the_page(finished):
    workdir, told = finished
    page, lost = (workdir / "report.html").read_text(), "all 4 copies met NaN or infinity; the"
    assert f"lockstep_1, round 0: {lost} weights that it began with are kept" in told
    assert f"lockstep_random_0, round 3: {lost} last good weights, after 6 steps, are kept and the search ends with them" in told
    for name, count in (("learned", 1), ("random", 2)):
        words = f"{count} of 2 searches ended early with NaN"
        assert f"{name} in lock-step: {words} or infinity in all copies; their last good weights were tested" in told
        assert f"({words})" in page
    assert page.count("(ended early with NaN)") == 3


def test_what_has_ended_is_not_begun_again(finished):
    def content():
        with open_for_reading(finished[0]) as run:
            return run.archive.comparable()

    before = content()
    assert launch.main(arguments(finished[0], "second_dies")) == 0
    assert content() == before


def test_a_run_none_of_whose_searches_has_a_copy_is_one_line(tmp_path, capsys):
    assert launch.main(arguments(tmp_path / "run", "all_die")) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "of the first 3 rounds of lockstep_0 and lockstep_1 met NaN or infinity at the rate" in error
