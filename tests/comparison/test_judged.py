"""Every tested loss beside its best rival, from the summary alone: what a sweep's table and an exported file say."""

import pytest

from jaxloss.config import default_config
from jaxloss.runs import RunDirectory
from jaxloss.study.comparison import TestResult as Result  # pytest would collect it by its own name
from jaxloss.study.contender import CONTROL, FOUND, GIVEN, HANDCRAFTED, RANDOM_SEARCH, Contender, TuningPoint
from jaxloss.study.judged import against_best_rival
from jaxloss.study.provenance import provenance
from jaxloss.study.tables import headline, result_row
from jaxloss.sweeps.points import Point
from jaxloss.sweeps.rows import row_of
from tests.comparison.pretence import FORMULA, SPACE

# Name -> (kind, score on search_eval, scores on the test); the order of the test is not that of search_eval.
SEARCHED = {
    "found 1": (FOUND, 0.9, 0.8),
    "found 2": (FOUND, 0.8, 0.85),
    "mae": (HANDCRAFTED, 0.3, 0.99),
    "sce": (HANDCRAFTED, 0.6, 0.7),
    "gce": (HANDCRAFTED, 0.7, 0.6),
    "random search 1": (RANDOM_SEARCH, 0.75, 0.65),
    "gce (9 tuning trainings)": (CONTROL, 0.85, 0.95),
}
FORMULAS = {"found 1": FORMULA, "found 2": "Neg(Mul(target, prediction))", "random search 1": "Abs(prediction)"}
COMPARED = {name: (GIVEN if kind == FOUND else kind, *scores) for name, (kind, *scores) in SEARCHED.items() if kind != CONTROL}


def results_of(table):
    return [
        Result(
            Contender(name, kind, SPACE, FORMULAS.get(name)), TuningPoint(0.1), eval_score, {(0, 0): test, (0, 1): test + 0.01}
        )
        for name, (kind, eval_score, test) in table.items()
    ]


def summary_of(table, **more):
    results = results_of(table)
    rows = [result_row(one, one, []) for one in results]
    first, others = results[0], results[1:]
    return {"comparison": rows, "margin": 0.01, "headline": headline(first, others, 0.01), "task": "t", "metric": "m", **more}


@pytest.mark.parametrize(
    ("table", "rivals"),
    [
        (SEARCHED, {"found 1": "gce", "found 2": "gce", "mae": "gce", "gce": "sce", "sce": "gce", "random search 1": "gce"}),
        (COMPARED, {"found 1": "found 2", "found 2": "found 1", "gce": "found 1"}),
    ],
    ids=["search", "comparison"],
)
def test_the_rival_is_the_best_other_one_on_search_eval(table, rivals):
    summary = summary_of(table)
    for name, rival in rivals.items():
        judged = against_best_rival(summary, name)
        assert (judged["first"], judged["second"]) == (name, rival)
        assert judged["mean"] == pytest.approx(table[name][2] - table[rival][2])
        assert judged["is_best_rival"] == (table is SEARCHED and name == "gce")
    # The first as the summary has it, without its help.
    first = next(iter(table))
    alone = against_best_rival({**summary, "headline": None}, first)
    assert {key: alone[key] for key in summary["headline"]["best_rival"]} == summary["headline"]["best_rival"]


def test_without_a_rival_or_its_scores_nothing_is_said():
    assert against_best_rival(summary_of({"found 1": SEARCHED["found 1"]}), "found 1") is None
    summary = summary_of(SEARCHED)
    for row in summary["comparison"]:
        del row["tuned"]["scores"]
    assert against_best_rival(summary, "found 1")["second"] == "gce"
    assert against_best_rival(summary, "found 2") is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("found 1", "It leads the best tuned rival, gce: +0.2000, interval "),
        ("found 2", "It leads the best tuned rival, gce: +0.2500, interval "),
        ("mae", "It leads the best tuned rival, gce: +0.3900, interval "),
        ("gce", "It is the best tuned rival of what was found, and is behind the next one, sce: -0.1000, interval "),
    ],
)
def test_an_export_says_it_of_every_loss(name, says):
    summary = summary_of(SEARCHED)
    (row,) = [one for one in summary["comparison"] if one["name"] == name]
    entry = {**row, "search_eval": row["tuned"]["search_eval"]}
    assert says in provenance(SPACE, "runs/a", name, entry, summary, {})


def test_a_sweep_shows_the_best_of_a_comparison_by_search_eval(tmp_path):
    """Not its first, and not the one that the test favours."""
    table = {"mae": COMPARED["mae"], **COMPARED}
    with RunDirectory.open(tmp_path / "seed=0", default_config().to_dict()) as run:
        run.write_summary(summary_of(table, mode="compare", seconds={}))
    row = row_of(Point("seed=0", {}), tmp_path)
    assert (row.formula, row.test_mean) == (FORMULA, pytest.approx(0.805))
    assert (row.rival, row.verdict, row.lead) == ("found 2", "is behind", pytest.approx(-0.05))
