"""A run that finds one loss in several dresses shows it once: in its summary, on its page, on the terminal and in its export."""

import io

import pytest
from rich.console import Console

import jaxloss
from jaxloss.report.table import print_summary
from jaxloss.runs import Archive
from jaxloss.study.export import export
from tests.test_stored_run import OVERRIDES

PLAIN = "Neg(Mul(target, prediction))"
DRESSES = [f"Add(prediction, {PLAIN})", f"Add({PLAIN}, Exp(Mean_c(prediction)))", PLAIN]
READS_THE_BATCH = f"Add({PLAIN}, Square(Mean_nhw(prediction)))"
SEEDS = [*DRESSES, READS_THE_BATCH]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    overrides = OVERRIDES | {
        "search.seeds": repr(tuple(SEEDS)),
        "search.num_trainings": str(len(SEEDS)),
        "search.control": "False",
        "filters.rejection.enabled": "False",
        "comparison.rank_candidates": str(len(SEEDS)),
        "comparison.rank_seeds": "3",
        "comparison.num_found": str(len(SEEDS)),
    }
    del overrides["filters.rejection.iterations"], overrides["filters.rejection.minimum_gain"]
    config = jaxloss.load_config("configs/autoloss_zero_digits.py", overrides)
    return jaxloss.run(config, tmp_path_factory.mktemp("run") / "run")


def test_the_ranking_holds_each_loss_once_and_only_one_of_them_was_tuned(results):
    entries = {entry["formula"]: entry for entry in results.ranking().to_dict("records")}
    assert entries.keys() == {PLAIN, READS_THE_BATCH}
    assert [entries[text]["merged"] for text in (PLAIN, READS_THE_BATCH)] == [3, 1]
    assert [entries[text]["minimal"] for text in (PLAIN, READS_THE_BATCH)] == [None, None]
    trained = entries[PLAIN]["trained"]
    assert trained in DRESSES
    with Archive(results.path / "archive.sqlite", read_only=True) as archive:
        ranked, tuned = ({row.formula for row in archive.trainings(stage)} for stage in ("rank", "tune"))
    assert ranked == set(SEEDS)
    assert tuned & set(SEEDS) == {trained, READS_THE_BATCH}
    assert results.summary["merged_by"] == "gradients"
    assert results.summary["compilations"]["output gradients"] == 1


def test_it_is_said_wherever_the_loss_is_shown(results):
    (rank,) = results.ranking().query("formula == @PLAIN")["rank"]
    assert "3 formulas that the search found are this loss" in (results.path / "report.html").read_text()
    assert "Merged: 3 formulas that were found are this loss" in export(results.path, results.space, rank)
    console = Console(file=io.StringIO(), width=116)
    print_summary(results.summary, console)
    assert "merged: 3 formulas that were found are this loss" in console.file.getvalue()
    assert results.loss(rank).formula == PLAIN


def test_a_hand_crafted_loss_in_other_clothes_is_called_one(results):
    """On softmax and one-hot targets, minus the probability of the right class is the mean absolute error, but for a factor."""
    alike = dict(zip(results.ranking()["formula"], results.ranking()["alike"], strict=True))
    assert alike == {PLAIN: "mae", READS_THE_BATCH: None}
    page = (results.path / "report.html").read_text()
    assert "It trains the network as MAE does" in page
    assert "<small>trains as MAE does</small>" in page
    console = Console(file=io.StringIO(), width=116)
    print_summary({**results.summary, "best": {**results.summary["best"], "alike": "mae"}}, console)
    assert "trains the network as MAE does" in console.file.getvalue()


def test_the_best_is_diagnosed_beside_its_best_rival(results):
    first, rival = results.summary["diagnosis"]
    assert (first["name"], rival["name"]) == (
        results.summary["best"]["name"],
        results.summary["headline"]["best_rival"]["second"],
    )
    assert "What the loss does" in (results.path / "report.html").read_text()


@pytest.mark.slow
def test_a_comparison_names_what_does_nothing(tmp_path):
    given = f"Add({READS_THE_BATCH}, MaxPool3x3(prediction))"
    overrides = {key: value for key, value in OVERRIDES.items() if not key.startswith(("search.", "filters."))}
    for key in ("rank_candidates", "num_found", "handcrafted"):
        overrides.pop(f"comparison.{key}")
    config = jaxloss.load_config(
        "configs/autoloss_zero_digits.py", overrides | {"mode": "compare", "losses": repr((given, "mae"))}
    )
    row = jaxloss.run(config, tmp_path / "run").comparison().iloc[0]
    assert (row["formula"], row["minimal"]["formula"]) == (given, READS_THE_BATCH)
    assert "as it was found, with terms that do nothing here" in (tmp_path / "run" / "report.html").read_text()
