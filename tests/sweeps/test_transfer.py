"""Which losses of a sweep meet which tasks, also when the sweep has grown, and the picture of how they do there."""

import dataclasses
import json
import re

import pytest

from jaxloss.config.file import load_config, load_sweep
from jaxloss.runs.files import SUMMARY_FILE
from jaxloss.sweeps.page import write_page
from jaxloss.sweeps.points import points_of
from jaxloss.sweeps.rows import Row
from jaxloss.sweeps.sweep import Sweep
from jaxloss.sweeps.transfer import is_compared, transfer_matrix, transfer_points

POINTS = points_of({"seed": [0, 1, 2], "task.classification.noise_rate": [0.4]})
FORMULAS = ("Neg(prediction)", "Mul(prediction, target)", "Mul(target, prediction)")
ROWS = [
    Row(point.name, point.overrides, "finished", formula=formula, key="".join(sorted(formula)))
    for point, formula in zip(POINTS, FORMULAS, strict=True)
]


def test_one_loss_under_two_formulas_is_compared_once():
    (point,) = transfer_points(POINTS, ROWS)
    assert point.overrides["losses"] == repr(FORMULAS[:2])
    assert point.overrides["task.classification.noise_rate"] == "0.4"
    assert "seed" not in point.overrides


def test_what_was_said_of_the_searches_is_not_said_of_the_comparison(tmp_path):
    """Both runs of a sweep were done when the comparison was refused for such a key."""
    of_both = {"comparison.tuning_trainings": "4", "comparison.tuning_seeds": "1", "comparison.tuning_finalists": "2"}
    of_searches = {"search.num_trainings": "6", "comparison.rank_candidates": "1", "comparison.num_found": "1", "mode": "search"}
    path, overrides = "tests/configs/tiny_sweep.py", {**of_both, **of_searches}
    points = points_of(load_sweep(path))[:1]
    load_config(path, {**overrides, **points[0].overrides})
    row = Row(points[0].name, points[0].overrides, "finished", formula="Neg(Mul(target, Log(prediction)))", key="a")
    comparison, (point,) = Sweep(path, tmp_path, 1, overrides, print).compare(points, [row])
    assert comparison.overrides == of_both
    assert load_config(path, {**comparison.overrides, **point.overrides}).mode == "compare"


def test_a_comparison_lacks_what_was_found_since(tmp_path):
    (before,), (after,) = transfer_points(POINTS, ROWS[:1]), transfer_points(POINTS, ROWS)
    path = tmp_path / before.name
    assert not is_compared(tmp_path, before)
    path.mkdir(parents=True)
    (path / SUMMARY_FILE).write_text(json.dumps({"comparison": [{"formula": FORMULAS[0]}, {"formula": None}]}))
    assert is_compared(tmp_path, before)
    assert not is_compared(tmp_path, after)
    assert is_compared(tmp_path, dataclasses.replace(after, overrides={"losses": "()"}))


TASKS = points_of({"task.classification.noise_rate": [0.2, 0.4]})
# Formula, its simplified form (None: hand-crafted), its scores on the tasks (None: not compared there), and where it was found.
LOSSES = (
    ("Mul(prediction, target)", "prediction*target<" + 80 * "*", (0.8, 0.5), 0),
    ("Mul(target, Abs(prediction))", "prediction*target<" + 80 * "*", (0.7, None), 1),
    ("gce", None, (0.1, 0.6), None),
)


@pytest.fixture
def matrix(tmp_path):
    found = [(point, loss) for number, point in enumerate(TASKS) for loss in LOSSES if loss[3] == number]
    rows = [Row(point.name, point.overrides, "finished", formula=loss[0], key=loss[0]) for point, loss in found]
    points = transfer_points(TASKS, rows)
    for number, point in enumerate(points):
        compared = [
            {
                "name": formula,
                "formula": formula if simplified else None,
                "simplified": simplified,
                "tuned": {"test_mean": scores[number], "test_ci95": [0.0, 1.0]},
            }
            for formula, simplified, scores, _ in LOSSES
            if scores[number] is not None
        ]
        (tmp_path / point.name).mkdir(parents=True)
        (tmp_path / point.name / SUMMARY_FILE).write_text(json.dumps({"comparison": compared}))
    return transfer_matrix(points, rows, tmp_path)


def test_each_loss_is_a_row_also_one_that_looks_like_another(matrix):
    assert matrix["tasks"] == [point.name for point in TASKS]
    assert matrix["losses"] == [LOSSES[0][1], LOSSES[1][1], "gce"]
    assert [[one and one[0] for one in row] for row in matrix["scores"]] == [[0.8, 0.5], [0.7, None], [0.1, 0.6]]
    assert matrix["found_on"] == [[True, False], [False, True], [False, False]]


def test_the_picture_has_a_cell_for_each_score_and_a_frame_where_a_loss_was_found(matrix, tmp_path):
    page = write_page(tmp_path, "sweep", [Row("a", {}, "not begun")], matrix, "command").read_text()
    (picture,) = re.findall(r'<svg class="figure".*?</svg>', page, re.DOTALL)
    assert re.findall(r">(0\.\d{4})<", picture) == ["0.8000", "0.7000", "0.1000", "0.5000", "0.6000"]
    assert picture.count("noise_rate=") == 2
    assert "prediction*target&lt;***" in picture
    assert "…" in picture
    frames = re.findall(r"fill: none; stroke: var\(--ink\)", picture)
    assert len(frames) == 1, "a loss that was not compared there has no cell"
    darkest = [float(opacity) for opacity in re.findall(r"opacity: ([\d.]+)", picture)]
    assert max(darkest) == 0.5
    assert darkest.count(0.5) == 2, "the best of each task"


def test_one_loss_on_one_task_is_a_picture(tmp_path):
    alone = {"tasks": ["run"], "losses": ["q"], "scores": [[(0.5, [0.4, 0.6])]], "found_on": [[True]]}
    assert "0.5000</text>" in write_page(tmp_path, "sweep", [Row("a", {}, "not begun")], alone, "command").read_text()
