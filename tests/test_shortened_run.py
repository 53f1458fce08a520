"""A run that makes its best loss shorter: it stands beside the whole one everywhere, and is not found again by a second start."""

from jaxloss import export
from jaxloss.runs import open_for_reading
from jaxloss.study.shortening import STAGE
from tests.launch.command import run

LONG = "Add(Neg(Mul(target, Log(prediction))), Mul(target, Exp(Square(prediction))))"
# The only candidate is the given one.
OVERRIDES = ("search.num_trainings=1", "search.control=false", f"search.seeds=('{LONG}',)", "comparison.shortening_trainings=60")


def test_the_shorter_loss_is_tuned_tested_shown_and_exported(tmp_path, capsys):
    path = tmp_path / "run"
    assert run(path, *OVERRIDES) == 0
    with open_for_reading(path) as opened:
        rows, summary = opened.archive.trainings(), opened.read_summary()
    spent = [row for row in rows if row.stage == STAGE]
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


def test_where_nothing_can_be_made_smaller_a_run_says_so_and_ends(tmp_path, capsys):
    weights = ("space.name=examples.own_weights:polynomials", "search.num_trainings=2", "search.control=false", "quiet=false")
    assert run(tmp_path / "run", *weights, "comparison.shortening_trainings=20") == 0
    assert "losses of the space polynomials cannot be made smaller" in capsys.readouterr().err
    with open_for_reading(tmp_path / "run") as opened:
        assert opened.read_summary()["shortened"] is None
