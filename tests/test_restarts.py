"""A run that searches more than once: each search is one of its own, and the best of what they found is the loss of the run."""

import pytest

from jaxloss.runs import open_for_reading
from jaxloss.search.restarts import label_of, seed_of
from tests.launch.command import run
from tests.short_comparison import SHORT_COMPARISON

SHORT = [f"{key}={value}" for key, value in SHORT_COMPARISON.items()]
ALONE = ["comparison.handcrafted=('cross_entropy',)", "filters.rejection.enabled=false", "search.num_trainings=4", *SHORT]


def content(path):
    """What a run ends with, the clock and what was compiled aside."""
    with open_for_reading(path) as opened:
        summary = opened.read_summary()
        return opened.archive.comparable(), {key: summary[key] for key in ("best", "comparison", "ranking", "counts")}


def formulas(path, search):
    with open_for_reading(path) as opened:
        return [row.formula for row in opened.archive.candidates(search=search) if row.training]


def test_a_run_that_is_to_search_again_goes_on_with_the_next_search(tmp_path):
    assert run(tmp_path / "run", "search.control=false", *ALONE) == 0
    first = formulas(tmp_path / "run", "evolution")
    assert run(tmp_path / "run", "search.control=false", "search.restarts=2", *ALONE) == 0
    assert formulas(tmp_path / "run", "evolution") == first
    second = formulas(tmp_path / "run", "evolution 2")
    assert len(first) == len(second) == 4
    assert not set(first) & set(second)
    with open_for_reading(tmp_path / "run") as opened:
        summary = opened.read_summary()
        starts = {row.stage: row.seed for row in opened.archive.trainings() if row.stage.startswith("evolution")}
    assert starts == {"evolution": 0, "evolution 2": seed_of(0, 1)}
    found = {row["name"]: row["tuned"]["search_eval"] for row in summary["comparison"] if row["kind"] == "found"}
    assert found.keys() == {"found 1.1", "found 2.1"}
    assert summary["best"]["name"] == max(found, key=found.get)
    assert summary["ranking"][0]["trained"] == summary["best"]["trained"]
    assert summary["counts"]["trained"] == 8
    page = (tmp_path / "run" / "report.html").read_text()
    assert "evolution 2, best" in page


@pytest.mark.slow
def test_searches_one_by_one_are_those_of_a_run_that_was_not_disturbed(tmp_path):
    for restarts in (1, 2, 3):
        assert run(tmp_path / "grown", f"search.restarts={restarts}", *ALONE) == 0
    assert run(tmp_path / "whole", "search.restarts=3", *ALONE) == 0
    (grown, of_grown), (whole, of_whole) = content(tmp_path / "grown"), content(tmp_path / "whole")
    assert of_grown == of_whole
    # Less was tuned of the first ones, but nothing else.
    assert grown["candidates"] == whole["candidates"]
    searches = [label_of(name, restart) for name in ("evolution", "random_search") for restart in range(3)]
    assert {row["search"] for row in whole["candidates"]} == set(searches)
