"""A run that searches more than once: each search is one of its own, and the best of what they found is the loss of the run."""

import pytest

from jaxloss.runs import open_for_reading
from jaxloss.search.restarts import LEFT_OUT, label_of, seed_of
from tests.launch.command import run
from tests.short_comparison import SHORT_COMPARISON

ALONE = {
    **SHORT_COMPARISON,
    "comparison.handcrafted": "('cross_entropy',)",
    "filters.rejection.enabled": "false",
    "search.num_trainings": "4",
}


def search(path, **changes):
    """A run of the tiny config; dots in the names of keys are `__`."""
    overrides = {**ALONE, **{key.replace("__", "."): value for key, value in changes.items()}}
    assert run(path, *(f"{key}={value}" for key, value in overrides.items())) == 0


def content(path):
    """What a run ends with, the clock and what was compiled aside."""
    with open_for_reading(path) as opened:
        summary = opened.read_summary()
        return opened.archive.comparable(), {key: summary[key] for key in ("best", "comparison", "ranking", "counts")}


def formulas(path, name):
    with open_for_reading(path) as opened:
        return [row.formula for row in opened.archive.candidates(search=name) if row.training]


def test_each_search_is_one_of_its_own_and_the_best_of_all_is_the_loss_of_the_run(tmp_path):
    search(tmp_path / "run", search__control="false", search__restarts=2)
    first, second = (formulas(tmp_path / "run", name) for name in ("evolution", "evolution 2"))
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


def test_what_two_searches_have_found_takes_part_once(tmp_path):
    """Seeds are proposed by each of them; the second is the first with a term that does nothing, which no filter sees."""
    seeds = "('Neg(Mul(target, Log(prediction)))', 'Add(Mean_c(prediction), Neg(Mul(target, Log(prediction))))')"
    few = {"search__num_trainings": 2, "search__evolution__initial_population": 2, "comparison__rank_candidates": 2}
    search(tmp_path, search__control="false", search__restarts=3, search__seeds=seeds, **few)
    with open_for_reading(tmp_path) as opened:
        trainings, summary = opened.archive.trainings(), opened.read_summary()
    assert sum(row.stage.startswith("evolution") for row in trainings) == 6
    (found,) = (row for row in summary["comparison"] if row["kind"] == "found")
    assert found["formula"] == "Neg(Mul(target, Log(prediction)))"
    assert found["name"] == "found 1.1 (a seed)"
    assert summary["ranking"][0]["merged"] == 2


def test_a_later_search_that_comes_to_nothing_is_left_out(tmp_path):
    """With so little patience the second one meets only losses that are stopped."""
    search(tmp_path, search__control="false", search__restarts=2, filters__max_attempts=10)
    with open_for_reading(tmp_path) as opened:
        left_out, summary = opened.archive.state(LEFT_OUT), opened.read_summary()
    assert left_out.keys() == {"evolution 2"}
    assert left_out["evolution 2"].startswith("no candidate passed the filters in 10 draws")
    assert [row["name"] for row in summary["comparison"] if row["kind"] == "found"] == ["found 1.1"]
    assert "evolution 2 is left out: no candidate passed" in (tmp_path / "report.html").read_text()
    search(tmp_path, search__control="false", search__restarts=1, filters__max_attempts=10)
    assert "left out" not in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_a_finished_run_goes_on_with_the_next_search(tmp_path):
    """Searches one by one are those of a run that was not disturbed."""
    for restarts in (1, 2, 3):
        search(tmp_path / "grown", search__restarts=restarts)
    search(tmp_path / "whole", search__restarts=3)
    (grown, of_grown), (whole, of_whole) = content(tmp_path / "grown"), content(tmp_path / "whole")
    assert of_grown == of_whole
    # Less was tuned of the first ones, but nothing else.
    assert grown["candidates"] == whole["candidates"]
    searches = [label_of(name, restart) for name in ("evolution", "random_search") for restart in range(3)]
    assert {row["search"] for row in whole["candidates"]} == set(searches)
