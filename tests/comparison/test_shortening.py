"""The best found loss is made shorter as long as its score on search_eval allows, with trainings that are counted."""

import dataclasses
import re

import pytest

from jaxloss.runs.archive import Archive
from jaxloss.runs.rows import SHORTEN
from jaxloss.spaces.output_gradients import OutputGradients
from jaxloss.study import comparison as stages
from jaxloss.study.comparison_settings import WHOLE_LOOK
from jaxloss.study.contender import FOUND, SHORTENED, Contender, TuningPoint
from jaxloss.study.equal_losses import EqualLosses
from jaxloss.study.shortening import shortened
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.fast import make_fast
from tests.comparison.pretence import Pretence, comparison

SPACE = autoloss_zero(AutoLossZeroSettings(tuned_factors=2))
CORE = "Neg(Mul(target, Log(prediction)))"
# What is added to the core changes gradients: none of it is gone by itself.
LONG = f"Add(Add({CORE}, Square(prediction)), Mul(target, Exp(prediction)))"
RATE = 0.1


@pytest.fixture(scope="module")
def equal():
    return EqualLosses(OutputGradients(SPACE, make_fast().output_samples()))


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "archive.sqlite") as opened:
        yield opened


def whole(formula, **hyperparameters):
    point = TuningPoint(RATE, hyperparameters)
    return stages.TestResult(Contender("found 1", FOUND, SPACE, formula), point, 0.9, {(0, 0): 0.9, (0, 1): 0.9})


def scored_by(score):
    """An execution in which the score follows from the formula."""
    (branch,) = SPACE.branches
    return Pretence(lambda trial: score(branch.form.write(branch.form.decode(trial.encoded[branch.name]))))


def test_terms_that_the_score_does_not_need_are_gone(archive, equal):
    """The logarithm is all that counts: what is found is the smallest loss that has it."""
    execution = scored_by(lambda text: 0.9 if "Log(prediction)" in text and "target" in text else 0.5)
    found = shortened(comparison(archive, execution, equal_losses=equal), whole(LONG), 300)
    assert (found.contender.name, found.contender.kind) == ("found 1 shortened", SHORTENED)
    assert found.score == found.whole_score == pytest.approx(0.9)
    reads_both = re.fullmatch(r"(?=.*target).*Log\(prediction\).*", found.contender.formula)
    assert reads_both
    assert len(found.contender.formula) <= len(CORE)


def test_nothing_is_left_out_that_costs_more_than_it_may(archive, equal):
    """A loss without the least of it has 0.02 less, whatever the seed."""
    execution = scored_by(lambda text: 0.9 if text == LONG else 0.88)
    assert shortened(comparison(archive, execution, equal_losses=equal), whole(LONG), 300) is None


def test_a_training_that_was_stopped_is_no_uncertainty(archive, equal):
    """One score of nine that is 0 makes a standard error as large as what it costs."""
    calls = []

    def score(text):
        calls.append(text)
        return None if text != LONG and calls.count(text) == 1 else 0.9

    assert shortened(comparison(archive, scored_by(score), equal_losses=equal), whole(LONG), 300) is None


@pytest.mark.parametrize("trainings", [WHOLE_LOOK - 1, WHOLE_LOOK + 2, 40])
def test_it_takes_no_more_trainings_than_it_was_given_all_on_search_eval(archive, equal, trainings):
    execution = scored_by(lambda text: 0.9)
    shortened(comparison(archive, execution, equal_losses=equal), whole(LONG), trainings)
    rows = archive.trainings()
    assert len(rows) == len(execution.trials) <= trainings
    assert {(row.stage, row.evaluated_on, row.learning_rate) for row in rows} <= {(SHORTEN, SEARCH_EVAL, RATE)}


def test_the_fewest_trainings_that_a_run_may_ask_for_can_make_a_loss_shorter(archive, equal):
    """However many forms are smaller: first looks leave enough for one of them as a whole."""
    found = shortened(comparison(archive, scored_by(lambda text: 0.9), equal_losses=equal), whole(LONG), 2 * WHOLE_LOOK)
    assert len(found.contender.formula) < len(LONG)


def test_a_second_look_trains_nothing(archive, equal):
    def once():
        execution = scored_by(lambda text: 0.9)
        found = shortened(comparison(archive, execution, equal_losses=equal), whole(LONG), 60)
        return found, len(execution.trials)

    (first, trained), (second, again) = once(), once()
    assert dataclasses.replace(first.contender, family=None) == dataclasses.replace(second.contender, family=None)
    assert trained > 0
    assert again == 0


def test_tuned_numbers_are_rounded_and_not_tuned_again(archive, equal):
    """Losses of as many operators do alike, smaller ones do not: what can be left out are digits."""
    result = whole("Add(Neg(Mul(target, Log(prediction))), Square(prediction))", factor_1=0.2713)
    tuned = SPACE.write(SPACE.with_hyperparameters(SPACE.parse(result.contender.formula), result.point.hyperparameters))
    assert "0.2713" in tuned
    execution = scored_by(lambda text: 0.9 if text.count("(") >= tuned.count("(") else 0.5)
    found = shortened(comparison(archive, execution, equal_losses=equal), result, 200)
    assert found.contender.formula == tuned.replace("0.2713", "0.3")
    assert not found.contender.tuning_ranges


def test_what_trains_as_something_that_was_tried_is_not_trained(archive, equal):
    """Beside the core stands what does nothing under a softmax and one-hot targets: 1, the target, and the like."""
    dressed = f"Add({CORE}, Mul(Exp(prediction), 0.27))"
    execution = scored_by(lambda text: 0.9 if text == dressed else 0.5)
    shortened(comparison(archive, execution, equal_losses=equal), whole(dressed), 300)
    tried = list(dict.fromkeys(row.loss for row in archive.trainings()))
    assert CORE in tried
    assert len(tried) > 4
    assert equal.firsts(tried) == list(range(len(tried)))


def test_what_does_nothing_is_left_out_of_what_is_found(archive, equal):
    """The one form that is as good here has another beside it: the core alone trains as it does."""
    execution = scored_by(lambda text: 0.9 if text == LONG or text.startswith(f"Add({CORE}, ") else 0.5)
    found = shortened(comparison(archive, execution, equal_losses=equal), whole(LONG), 300)
    assert equal.minimal(found.contender.formula) is None


@pytest.mark.parametrize(
    ("formula", "score", "most"), [("Mul(target, prediction)", 0.9, 0), (CORE, None, WHOLE_LOOK), (CORE, 0.0, WHOLE_LOOK)]
)
def test_a_loss_without_smaller_forms_or_scores_takes_no_trainings_for_others(archive, equal, formula, score, most):
    """What is smaller than the first lacks an input; beside one whose trainings are stopped all others are as good."""
    execution = scored_by(lambda text: score)
    assert shortened(comparison(archive, execution, equal_losses=equal), whole(formula), 300) is None
    assert len(execution.trials) == most
