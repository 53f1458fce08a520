"""The outcome on the terminal: whole, and true to the summary."""

import io
import re

import pytest
from rich.console import Console

from jaxloss.report.notebook import results_html
from jaxloss.report.table import print_summary
from tests.report.finished_run import FORMULAS, summary_of


def printed(summary, **options):
    console = Console(file=io.StringIO(), highlight=False, **{"width": 116, **options})
    print_summary(summary, console)
    return console.file.getvalue()


class TestTerminal:
    def test_numbers_and_formulas_are_whole(self):
        summary = summary_of("search")
        text = printed(summary)
        assert "…" not in text
        for row in summary["comparison"]:
            for kind in ("untuned", "tuned"):
                low, high = row[kind]["test_ci95"]
                assert f"{row[kind]['test_mean']:.4f} ± {(high - low) / 2:.4f}" in text
        for row in summary["differences"]:
            assert f"{row['mean']:+.4f}" in text
        assert summary["best"]["formula"] in text
        assert summary["best"]["simplified"] in text
        assert max(map(len, text.splitlines())) <= 116

    def test_what_was_merged_and_what_does_nothing_is_said(self):
        summary = summary_of("search")
        plain = printed(summary)
        assert "merged" not in plain
        assert "do nothing" not in plain
        minimal = {"formula": "Neg(target)", "simplified": "-target", "decimal": "", "latex": "-y", "domain": ""}
        summary["best"] |= {"merged": 3, "minimal": minimal}
        lines = [line.strip() for line in printed(summary).splitlines()]
        assert "without terms that do nothing here: -target" in lines
        assert "merged: 3 formulas that were found are this loss" in lines
        # What was merged with nothing, and a minimal form that reads like the loss, get no line.
        summary["best"] |= {"merged": 1, "minimal": minimal | {"simplified": summary["best"]["simplified"]}}
        assert printed(summary) == plain
        # Nor has one in which a constant alone is another.
        summary["best"] |= {"decimal": "-1.27*target", "minimal": minimal | {"decimal": "-1.31*target"}}
        assert "do nothing" not in printed(summary)

    def test_the_best_rival_random_search_edges_and_a_baseline_that_does_not_learn(self):
        summary = summary_of("search")
        rows = {row["second"]: row for row in summary["differences"]}
        summary["headline"] = {"best_rival": {**rows["mae"], "verdict": "leads"}, "random_search": rows["random search"]}
        summary["comparison"][0]["tuned"] |= {"edge": "lower", "other_edges": {"q": "upper"}}
        check = {"loss": "mae", "learning_rate": 0.3, "untrained": 0.2, "trained": 0.2, "learns": False}
        text = printed({**summary, "baseline_check": check})
        low, high = rows["mae"]["ci95"]
        assert f"ahead of the best tuned rival, MAE: {rows['mae']['mean']:+.4f} [{low:+.4f}, {high:+.4f}]" in text
        assert "the best of random search: " in text
        assert "found 1: its tuned rate is at the lower edge of the rates tried" in text
        assert "found 1: its q is the highest that was tried" in text
        assert "Nothing learned here" in text
        assert "Nothing learned here" not in printed({**summary, "baseline_check": {**check, "learns": True}})

    @pytest.mark.parametrize(("reached", "said"), [(0.10, True), (0.19, True), (0.21, False), (0.8, False)])
    def test_a_loss_that_is_best_calibrated_since_nothing_is_learned_with_it_is_told(self, reached, said):
        """An untrained network is well calibrated, and the accuracy tells."""
        summary = summary_of("search") | {"metric": "calibration"}
        for row in summary["comparison"]:
            row["tuned"]["test_means"] = {"accuracy": reached if row["name"] == summary["best"]["name"] else 0.1}
        check = {"loss": "mae", "learning_rate": 0.3, "untrained": 0.12, "trained": 0.92, "learns": True, "metric": "accuracy"}
        text = " ".join(printed(summary | {"baseline_check": check}).split())
        words = f"Networks hardly learn with found 1: their accuracy on test is {reached:.4f}, up to 0.1200 without any training"
        assert (words in text) == said
        assert "hardly" not in printed(summary | {"baseline_check": check, "metric": "accuracy"})

    @pytest.mark.parametrize("mode", ["train", "compare"])
    def test_other_modes(self, mode):
        summary = summary_of(mode)
        text = printed(summary)
        for row in summary["comparison"]:
            assert f"{row['tuned']['test_mean']:.4f}" in text
            assert (row["formula"] or "") in text
        assert ("untuned" in text) == (mode == "compare")

    def test_a_rival_that_was_tuned_longer_keeps_its_name(self):
        summary = summary_of("compare")
        rows = [row for row in summary["comparison"] if row["kind"] == "handcrafted"]
        rows[0]["name"], rows[1]["name"] = "arcface (240 tuning trainings)", "normalised_softmax (240 tuning trainings)"
        summary["differences"] = []
        text = " ".join(printed(summary).split())
        assert "ArcFace (240 tuning trainings)" in text
        assert "normalised softmax (240 tuning trainings)" in text

    def test_a_long_formula_is_folded_not_cut(self):
        summary = summary_of("search")
        summary["best"]["formula"] = "Add(target, " * 40 + "prediction" + ")" * 40
        text = printed(summary)
        assert summary["best"]["formula"].replace(" ", "") in re.sub(r"\s", "", text)

    def test_without_unicode(self, tmp_path):
        summary = summary_of("search")
        summary["also_shown"], summary["final_scores"] = ["worst"], {"gap": -0.5}
        best = summary["comparison"][0]["tuned"]
        best["hyperparameters"] = {"shift": -0.25}
        with open(tmp_path / "out", "w", encoding="ascii") as file:
            print_summary(summary, Console(file=file, width=116))
        text = (tmp_path / "out").read_text()
        assert "+-" in text
        assert "shift -0.25" in text
        assert "gap of the network that was kept: -0.5" in text
        assert re.search(r"worst\W*\n *found 1 +-\W", text.replace("|", " "))


@pytest.mark.parametrize("mode", ["search", "compare", "train"])
def test_a_notebook_shows_the_comparison(tmp_path, mode):
    summary = summary_of(mode)
    page = results_html(tmp_path, summary)
    for row in summary["comparison"]:
        assert f"{row['tuned']['test_mean']:.4f}" in page
    assert ("GCE" in page) == (mode != "train")
    assert "&lt;y &amp; z&gt;" in page or mode == "train", "formulas are text"
    assert ('class="formula"' in page) == (mode == "search"), "which needs no MathJax"
    assert page.count("<circle") + page.count("◂") == len(summary["comparison"]), "an interval beside each, or where it is"
    assert "unfinished" in results_html(tmp_path, None)


def test_a_formula_that_cannot_be_drawn_is_left_to_the_notebook(tmp_path):
    summary = summary_of("search")
    summary["best"]["latex"] = next(latex for latex in FORMULAS.values() if "cases" in latex)
    assert "$\\displaystyle \\begin{cases}" in results_html(tmp_path, summary)
