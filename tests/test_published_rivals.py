"""Losses that papers published stand beside the hand-crafted ones as rivals of a search."""

import pytest

from jaxloss.runs import open_for_reading
from tests.launch.command import run
from tests.short_comparison import SHORT_COMPARISON

NAME = "autoloss_zero_global_accuracy"
SEARCH = (
    "search.control=false",
    "search.num_trainings=2",
    "search.evolution.initial_population=1",
    *(f"{key}={value}" for key, value in SHORT_COMPARISON.items()),
)


@pytest.mark.slow
def test_a_published_loss_is_tuned_and_tested_as_the_others_are(tmp_path, capsys):
    assert run(tmp_path / "run", *SEARCH, f"comparison.handcrafted=('mae', '{NAME}')") == 0
    with open_for_reading(tmp_path / "run") as opened:
        summary = opened.read_summary()
    rows = {row["name"]: row for row in summary["comparison"]}
    assert {name: rows[name]["kind"] for name in ("mae", NAME)} == {"mae": "handcrafted", NAME: "published"}
    assert len(rows[NAME]["tuned"]["scores"]) == len(rows["mae"]["tuned"]["scores"])
    assert {row["name"] for row in summary["baselines"]} == {"mae", NAME}
    # The better of the two on search_eval is the one that the found loss is judged by.
    assert summary["headline"]["best_rival"]["second"] == max(("mae", NAME), key=lambda name: rows[name]["tuned"]["search_eval"])
    assert "published by a paper" in (tmp_path / "run" / "report.html").read_text()


def test_a_mistyped_name_is_corrected(tmp_path, capsys):
    assert run(tmp_path / "run", f"comparison.handcrafted=('{NAME[:-1]}',)") == 2
    assert f"Did you mean '{NAME}'?" in capsys.readouterr().err
