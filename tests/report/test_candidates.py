"""Every candidate of a search in its page: what is listed, from what it descends, and that formulas stay text."""

import html
import json
import re

import pytest

from jaxloss.report import candidates
from jaxloss.report.candidates import candidate_data, front_formulas, num_operators
from jaxloss.report.page import write_report
from jaxloss.runs import CandidateRow, RunDirectory
from tests.report.finished_run import CONFIG, COUNTS, SPACE, summary_of

HOSTILE = "</script><script>alert(1)</script>&\"'"


def row(proposal, score=None, parent=None, training=True, formula="Neg(prediction)", branch="*"):
    return CandidateRow(
        search="evolution",
        proposal=proposal,
        branch=branch,
        attempt=0,
        formula=formula,
        key=str(proposal),
        origin="mutation",
        parent=parent,
        reason="accepted",
        score=score,
        training=training,
    )


def test_trained_candidates_are_listed_best_first_and_the_others_as_ancestors():
    rows = [
        row(0, 0.5, formula="Mul(target, Log(prediction))"),
        row(1, 0.5, parent=0, training=False),
        row(2, 0.9, parent=1),
        row(3, 0.1, training=False),
        row(4, None, parent=0),
        row(5, 0.2, branch="classification"),
    ]
    data = candidate_data({"evolution": rows, "random_search": []})
    assert data["searches"] == ["evolution", "random_search"]
    assert [point[1:5] for point in data["points"]] == [[2, 2, 0.9, 1], [0, 1, 0.5, 2]]
    assert [point[1] for point in data["ancestors"]] == [1], "equal losses that a trained one descends from"
    assert data["total"] == 2
    assert candidate_data({"evolution": [row(4)]}) is None


def test_of_very_many_the_best_are_listed_with_all_that_they_descend_from(monkeypatch):
    monkeypatch.setattr(candidates, "MOST_LISTED", 2)
    data = candidate_data({"evolution": [row(index, index / 10, parent=index - 1 if index else None) for index in range(6)]})
    assert [point[1] for point in data["points"]] == [5, 4]
    assert sorted(point[1] for point in data["ancestors"]) == [0, 1, 2, 3]
    assert data["total"] == 6


def test_a_long_line_of_ancestors_ends_somewhere(monkeypatch):
    """A page of a million candidates had all of them."""
    monkeypatch.setattr(candidates, "MOST_LISTED", 1)
    monkeypatch.setattr(candidates, "MOST_ANCESTORS", 3)
    data = candidate_data({"evolution": [row(index, index / 10, parent=index - 1 if index else None) for index in range(9)]})
    assert [point[1] for point in data["ancestors"]] == [7, 6, 5]


@pytest.mark.parametrize(
    ("formula", "operators"),
    [("prediction", 0), ("Neg(Mul(prediction, target))", 2), ("t: t1 = Sin(x); Add(t1, t1) | n: x | log2_s: 4", 2)],
)
def test_the_size_of_a_formula(formula, operators):
    assert num_operators(formula) == operators


def test_formulas_are_text_in_the_page(tmp_path):
    with RunDirectory.open(tmp_path / "run", CONFIG) as run:
        run.archive.commit(candidates=[row(0, 0.5, formula=HOSTILE)], state={"evolution": {"counts": COUNTS}})
    page = write_report(tmp_path / "run", SPACE).read_text()
    (stored,) = re.findall(r'id="candidate-data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(stored)["points"][0][5] == HOSTILE
    assert HOSTILE not in page
    assert html.unescape(stored) == stored


def test_those_that_no_smaller_formula_beats_show_their_curves(tmp_path):
    small, large, beaten = (
        "Neg(Mul(target, prediction))",
        "Neg(Mul(target, Log(prediction)))",
        "Exp(Neg(Mul(target, prediction)))",
    )
    rows = [row(0, 0.5, formula=small), row(1, 0.9, formula=large), row(2, 0.4, formula=beaten), row(3, 0.95, formula=HOSTILE)]
    assert front_formulas(candidate_data({"evolution": rows})) == [HOSTILE]
    assert front_formulas(candidate_data({"evolution": rows[:3]})) == [small, large]
    assert front_formulas(None) == []
    with RunDirectory.open(tmp_path / "run", CONFIG) as run:
        run.archive.commit(candidates=rows[:3], state={"evolution": {"counts": COUNTS}})
        assert "<template" not in write_report(tmp_path / "run", SPACE).read_text(), (
            "a page that is renewed compiles nothing for it"
        )
        run.write_summary(summary_of("search"))
    page = write_report(tmp_path / "run", SPACE).read_text()
    found = dict(re.findall(r'<template data-formula="(.*?)">(.*?)</template>', page, re.DOTALL))
    assert list(found) == [small, large]
    assert all(panels.count("<svg") == 3 for panels in found.values())
