"""Which losses of a sweep meet which tasks, also when the sweep has grown."""

import dataclasses
import json

from jaxloss.runs.files import SUMMARY_FILE
from jaxloss.sweeps.points import points_of
from jaxloss.sweeps.rows import Row
from jaxloss.sweeps.transfer import is_compared, transfer_points

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


def test_a_comparison_lacks_what_was_found_since(tmp_path):
    (before,), (after,) = transfer_points(POINTS, ROWS[:1]), transfer_points(POINTS, ROWS)
    path = tmp_path / before.name
    assert not is_compared(tmp_path, before)
    path.mkdir(parents=True)
    (path / SUMMARY_FILE).write_text(json.dumps({"comparison": [{"formula": FORMULAS[0]}, {"formula": None}]}))
    assert is_compared(tmp_path, before)
    assert not is_compared(tmp_path, after)
    assert is_compared(tmp_path, dataclasses.replace(after, overrides={"losses": "()"}))
