"""A run that makes its best loss shorter: it stands beside the whole one everywhere, and is not found again by a second start."""

import dataclasses

import pytest

from jaxloss import export
from jaxloss.runs import open_for_reading
from jaxloss.runs.rows import SHORTEN
from jaxloss.tasks.fast import make_fast
from tests.launch.command import refusal, run

LONG = "Add(Neg(Mul(target, Log(prediction))), Mul(target, Exp(Square(prediction))))"
# The only candidate is the given one.
OVERRIDES = ("search.num_trainings=1", "search.control=false", f"search.seeds=('{LONG}',)", "comparison.shortening_trainings=60")


def make_silent():
    """A task that makes up no outputs of a network."""
    return dataclasses.replace(make_fast(), output_samples=None)


def test_the_shorter_loss_is_tuned_tested_shown_and_exported(tmp_path, capsys):
    path = tmp_path / "run"
    assert run(path, *OVERRIDES) == 0
    with open_for_reading(path) as opened:
        rows, summary = opened.archive.trainings(), opened.read_summary()
    spent = [row for row in rows if row.stage == SHORTEN]
    assert 9 < len(spent) <= 60
    assert {row.evaluated_on for row in spent} == {"search_eval"}
    name = summary["shortened"]["name"]
    assert name == summary["best"]["name"] + " shortened"
    (row,) = (row for row in summary["comparison"] if row["name"] == name)
    assert len(row["formula"]) < len(LONG)
    assert row["tuned"]["scores"]
    assert name in [difference["second"] for difference in summary["differences"]]
    assert summary["headline"]["best_rival"]["second"] in ("cross_entropy", "focal")
    assert "made shorter, as good on search_eval; on the test" in (path / "report.html").read_text()
    assert f"{name}:" in capsys.readouterr().out

    assert run(path, *OVERRIDES) == 0
    with open_for_reading(path) as opened:
        assert len(opened.archive.trainings()) == len(rows)

    assert export.main([str(path), f"--name={name}", f"--output={tmp_path / 'loss.py'}"]) == 0
    assert name in (tmp_path / "loss.py").read_text()


def test_a_shorter_form_that_takes_part_already_has_one_row(tmp_path, capsys):
    short = "Neg(Mul(target, Log(prediction)))"
    # Not the same by its gradients, and of the same scores: it is the best since it is the first.
    long = f"Add({short}, Mul(target, Mul(prediction, 0.01)))"
    given = (f"search.seeds=('{long}', '{short}')", "search.num_trainings=2", "comparison.num_found=2")
    assert run(tmp_path / "run", *OVERRIDES[1:2], *given, OVERRIDES[3], "quiet=false") == 0
    with open_for_reading(tmp_path / "run") as opened:
        summary = opened.read_summary()
    rows = {row["name"]: row for row in summary["comparison"]}
    assert summary["best"]["formula"] == long
    assert rows[summary["shortened"]["name"]]["kind"] == "found"
    assert not [name for name in rows if "shortened" in name]
    assert f"{summary['best']['name']} shortened is {summary['shortened']['name']}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("space.name=examples.own_weights:polynomials",), "losses of the space polynomials cannot be made smaller, set it to 0"),
        (("task.name=tests.test_shortened_run:make_silent",), "needs a task with output_samples, and the task fast has none"),
    ],
)
def test_where_nothing_can_be_made_smaller_a_run_is_refused_before_it_begins(tmp_path, capsys, overrides, says):
    error = refusal(tmp_path / "run", capsys, *overrides, "comparison.shortening_trainings=20")
    assert says in error


def test_trainings_that_are_too_few_for_any_shorter_form_are_refused(tmp_path, capsys):
    error = refusal(tmp_path / "run", capsys, "comparison.shortening_trainings=17")
    assert "comparison.shortening_trainings (17) must be 0, or at least 18" in error
