"""Trainings without one term at a time: which there are, what is asked of them, and that none is done twice."""

import math

import pytest

from jaxloss.runs import Archive, open_for_reading
from jaxloss.spaces.output_gradients import OutputGradients
from jaxloss.study.contender import FOUND, Contender, TuningPoint
from jaxloss.study.diagnosis.ablation import STAGE, ablate
from jaxloss.study.equal_losses import EqualLosses
from jaxloss.tasks.base import TEST
from jaxloss.tasks.fast import make_fast
from tests.comparison.pretence import SETTINGS, SPACE, Pretence, comparison
from tests.launch.command import run

TASK = make_fast()
# The first term is the loss, the second sums to a constant over a softmax, the third is a penalty.
FORMULA = "Add(Add(Neg(Mul(target, Log(prediction))), prediction), Square(Mean_nhw(prediction)))"
POINT = TuningPoint(0.1)


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "archive.sqlite") as archive:
        yield archive


@pytest.fixture(scope="module")
def equal():
    return EqualLosses(OutputGradients(SPACE, TASK.output_samples()))


def as_tested(compared, formula):
    contender = Contender("found 1", FOUND, SPACE, formula)
    return compared.test([contender], [POINT], [math.nan], "test tuned")[0]


class TestTerms:
    def test_each_is_trained_on_the_pairs_of_the_test_and_compared_in_pairs(self, archive):
        def score(trial):
            # The rate tells nothing here: all are trained at that of the whole loss.
            assert trial.learning_rate == POINT.learning_rate
            return 0.9

        compared = comparison(archive, Pretence(score))
        found = ablate(compared, as_tested(compared, FORMULA), None, TASK.ranges)
        assert [row["term"] for row in found["rows"]] == [
            "Neg(Mul(target, Log(prediction)))",
            "prediction",
            "Square(Mean_nhw(prediction))",
        ]
        assert found["pairs"] == len(SETTINGS.test_pairs)
        first, *others = found["rows"]
        assert first["why"] == "what is left does not read the target"
        assert "mean" not in first
        assert [row["test_mean"] for row in others] == pytest.approx([0.9, 0.9])
        assert [row["mean"] for row in others] == pytest.approx([0, 0])
        rows = archive.trainings(STAGE)
        assert {row.formula for row in rows} == {row["formula"] for row in others}
        assert [(row.division, row.seed, row.evaluated_on) for row in rows[:6]] == [(*pair, TEST) for pair in SETTINGS.test_pairs]
        assert all(row["latex"] for row in found["rows"])

    def test_none_is_trained_that_moves_a_network_as_the_whole_does(self, archive, equal):
        compared = comparison(archive, equal_losses=equal)
        found = ablate(compared, as_tested(compared, FORMULA), None, TASK.ranges)
        assert [row["why"] for row in found["rows"]][1:] == ["its gradients are those of the whole loss", ""]
        # Without what does nothing there are two terms, of the same loss.
        minimal = equal.minimal(FORMULA)
        again = ablate(compared, as_tested(compared, FORMULA), minimal, TASK.ranges)
        assert (again["formula"], len(again["rows"])) == (minimal, 2)

    def test_a_second_call_trains_nothing(self, archive):
        compared = comparison(archive)
        found = ablate(compared, as_tested(compared, FORMULA), None, TASK.ranges)
        execution = Pretence()
        again = comparison(archive, execution)
        assert ablate(again, as_tested(again, FORMULA), None, TASK.ranges) == found
        assert execution.trials == []

    def test_a_loss_of_one_term_has_none(self, archive):
        compared = comparison(archive)
        assert ablate(compared, as_tested(compared, "Neg(Tanh(prediction))"), None, TASK.ranges) is None


@pytest.mark.slow
def test_a_run_that_is_asked_for_it_later_trains_no_more_than_that(tmp_path, capsys):
    arguments = ("mode=compare", f"losses=('{FORMULA}', 'cross_entropy')", "quiet=false")
    assert run(tmp_path / "run", *arguments) == 0
    with open_for_reading(tmp_path / "run") as opened:
        before, plain = opened.archive.trainings(), opened.read_summary()
    assert not {"ablation", "diagnosis"} & plain.keys()
    assert run(tmp_path / "run", *arguments, "comparison.term_ablation=true", "comparison.diagnosis=true") == 0
    with open_for_reading(tmp_path / "run") as opened:
        after, summary = opened.archive.trainings(), opened.read_summary()
    assert after[: len(before)] == before
    assert {row.stage for row in after[len(before) :]} == {STAGE}
    assert [one["name"] for one in summary["diagnosis"]] == [FORMULA, "cross_entropy"]
    assert summary["comparison"] == plain["comparison"]
    (trained,) = [row for row in summary["ablation"]["rows"] if not row["why"]]
    assert trained["term"] == "Square(Mean_nhw(prediction))"
    page = (tmp_path / "run" / "report.html").read_text()
    assert "What the loss does" in page
    assert "Which term does the work" in page
    assert f"{STAGE}: 4/4" in capsys.readouterr().err
