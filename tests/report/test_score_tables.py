"""What the page says beyond the metric that losses are judged by: all metrics, parts, and networks at work."""

import json
import re

import numpy as np
import pytest

from jaxloss.report.page import write_report
from jaxloss.report.score_tables import metric_matrix, part_tables
from jaxloss.runs import Archive
from jaxloss.runs.shown import SHEET, packed, picture_uri, unpacked
from tests.report.finished_run import SPACE, make_run, summary_of
from tests.report.test_page import Page

PARTS = [["recall", [["zebra", "recall of zebra"], ["ape", "recall of ape"]]]]


def with_scores(mode="search"):
    """A summary with a second metric, and recalls; the third loss lacks one of them in every training."""
    summary = summary_of(mode)
    summary |= {"also_shown": ["macro_f1"], "parts": PARTS, "baseline": "cross_entropy"}
    for number, row in enumerate(summary["comparison"]):
        tuned = row["tuned"]
        own = [score for _, _, score in tuned["scores"]]
        tuned["test_scores"] = {
            "accuracy": own,
            "macro_f1": [0.1 * number + 0.5 * score for score in own],
            "recall of zebra": [None if number == 2 else score / 2 for score in own],
            "recall of ape": [None, *own[1:]],
        }
    return summary


def test_every_metric_has_mean_deviation_and_its_best():
    summary = with_scores()
    table = metric_matrix(summary)
    assert table["metrics"] == ["accuracy", "macro_f1"]
    rows = dict(table["rows"])
    assert list(rows) == [row["name"] for row in summary["comparison"]]
    for row in summary["comparison"]:
        for name, cell in zip(table["metrics"], rows[row["name"]], strict=True):
            values = row["tuned"]["test_scores"][name]
            assert (cell.mean, cell.deviation) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    best = [[name for name, cells in rows.items() if cells[column].is_best] for column in (0, 1)]
    means = {name: [cell.mean for cell in cells] for name, cells in rows.items()}
    assert best == [[max(means, key=lambda name: means[name][column])] for column in (0, 1)]


def test_a_task_with_one_metric_has_no_matrix_and_an_earlier_summary_has_means_alone():
    assert metric_matrix(summary_of("search")) is None
    summary = summary_of("search") | {"also_shown": ["macro_f1"]}
    for row in summary["comparison"]:
        row["tuned"]["test_means"] = {"macro_f1": 0.5}
    (_, (own, other)), *_ = metric_matrix(summary)["rows"]
    assert own.deviation == summary["comparison"][0]["tuned"]["test_deviation"]
    assert (other.mean, other.deviation, other.is_best) == (0.5, None, False)


def test_parts_stand_in_their_order_with_each_loss_once():
    summary = with_scores()
    (table,) = part_tables(summary, "found 1", "gce")
    assert table["losses"] == ["cross_entropy", "gce", "found 1"]
    assert [part for part, _ in table["rows"]] == ["zebra", "ape"]
    assert sum(cell.is_best for _, cells in table["rows"] for cell in cells) == 2
    (table,) = part_tables(summary, "found 3", "cross_entropy")
    assert table["losses"] == ["cross_entropy", "found 3"]
    # What no training has is no zero, and what some have is their mean.
    assert table["rows"][0][1][1].mean is None
    values = summary["comparison"][2]["tuned"]["test_scores"]["recall of ape"][1:]
    assert table["rows"][1][1][1].mean == pytest.approx(np.mean(values))
    assert part_tables(summary_of("search") | {"parts": PARTS}, "found 1", "gce") == []
    assert part_tables(summary_of("search"), "found 1", "gce") == []


@pytest.mark.parametrize("mode", ["search", "compare"])
def test_the_page_shows_them(tmp_path, mode):
    run = make_run(tmp_path / "run", mode)
    before = write_report(run, SPACE).read_text()
    assert not re.search("Every metric|Part by part|What the networks", before)
    summary = with_scores(mode)
    (run / "summary.json").write_text(json.dumps(summary))
    name = summary["comparison"][0]["name"]
    uris = [picture_uri(np.full((4, 6, 3), shade, np.uint8)) for shade in range(4)]
    columns = [
        {"title": title, "is_loss": is_loss, "pictures": uris[place : place + 2]}
        for place, (title, is_loss) in enumerate([("image", False), ("cross_entropy", True), (name, True)])
    ]
    legend = [{"words": "a <kind>", "picture": uris[0]}]
    sheet = {"columns": columns, "legend": legend, "note": "A note.", "division": 0, "seed": 12_000}
    with Archive(run / "archive.sqlite") as archive:
        archive.commit(state={SHEET: sheet})
    page = Page(write_report(run, SPACE).read_text())
    for words in ("Every metric", "macro f1", "Part by part", "zebra", "a <kind>", "A note.", "seed 12000"):
        assert words in page.text
    assert [reference for reference in page.references if reference.startswith("data:")] == [
        *(column["pictures"][row] for row in range(2) for column in columns),
        uris[0],
    ]


def test_outputs_come_back_and_pictures_are_kept_to_the_bit_or_as_photographs():
    random = np.random.default_rng(0)
    arrays = {"classes": random.integers(0, 9, (2, 5, 7)).astype(np.uint8), "wrong": random.random((2, 5)) < 0.5}
    again = unpacked(json.loads(json.dumps(packed(arrays))))
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)
    assert picture_uri(np.zeros((4, 4, 3), np.uint8)).startswith("data:image/png;base64,")
    assert picture_uri(random.integers(0, 256, (20, 20, 3)).astype(np.uint8)).startswith("data:image/jpeg;base64,")
