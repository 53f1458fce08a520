"""Numbers inside a found loss, which a comparison tunes as it tunes those of its rivals."""

import jax.numpy as jnp
import pytest

from jaxloss.core.errors import UserError
from jaxloss.core.types import LossInputs
from jaxloss.study.contender import FOUND, Contender
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero

SPACE = autoloss_zero(AutoLossZeroSettings(tuned_factors=2))
FORMULA = "Add(Neg(Mul(prediction,target)),Square(Mean_nhw(prediction)))"


def inputs(batch=4, classes=3):
    prediction = jnp.linspace(0.05, 0.9, batch * classes).reshape(batch, 1, 1, classes)
    target = jnp.eye(classes)[jnp.arange(batch) % classes][:, None, None]
    return {"classification": LossInputs.create({"prediction": prediction, "target": target})}


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        (FORMULA, ["factor_1"]),
        ("Neg(Mul(prediction,target))", []),
        ("Exp(Neg(Mul(prediction,target)))", ["factor_1"]),
        ("Add(Exp(prediction),Add(target,Tanh(prediction)))", ["factor_1", "factor_2"]),
    ],
)
def test_a_loss_has_a_factor_wherever_one_would_change_it(formula, names):
    assert SPACE.customary(formula) == dict.fromkeys(names, 1.0)


def test_the_paper_has_none():
    assert autoloss_zero().customary(FORMULA) == {}


def test_a_tuned_loss_is_a_formula_of_the_space():
    candidate = SPACE.with_hyperparameters(SPACE.parse(FORMULA), {"factor_1": 0.25})
    text = SPACE.write(candidate)
    assert text == "Add(Neg(Mul(prediction, target)), Mul(0.25, Square(Mean_nhw(prediction))))"
    assert SPACE.write(SPACE.parse(text)) == text
    batch = inputs()
    terms = ("Neg(Mul(prediction,target))", "Square(Mean_nhw(prediction))")
    first, second = (SPACE.loss(SPACE.encode(SPACE.parse(term)), batch) for term in terms)
    assert SPACE.loss(SPACE.tuned(FORMULA, {"factor_1": 0.25}), batch) == pytest.approx(float(first + 0.25 * second), rel=1e-6)


def test_a_factor_of_one_leaves_no_trace():
    assert SPACE.write(SPACE.with_hyperparameters(SPACE.parse(FORMULA), {"factor_1": 1.0})) == SPACE.write(SPACE.parse(FORMULA))


def test_only_what_a_loss_has_is_tuned():
    assert list(Contender("found 1", FOUND, SPACE, FORMULA).tuning_ranges) == ["factor_1"]
    assert not Contender("found 1", FOUND, SPACE, "Neg(Mul(prediction,target))").tuning_ranges


def test_factors_that_do_not_fit_are_left_out():
    small = autoloss_zero(AutoLossZeroSettings(tuned_factors=2, max_instructions=4, max_constants=1))
    assert small.customary("Add(Exp(prediction),Add(target,1))") == {}


def test_two_branches_have_their_own():
    pair = autoloss_zero(AutoLossZeroSettings(branches=("a", "b"), branch_weights=(1.0, 1.0), tuned_factors=1))
    text = "a: Add(prediction,target) | b: Mul(prediction,target)"
    assert pair.customary(text) == {"a.factor_1": 1.0}
    written = pair.write(pair.with_hyperparameters(pair.parse(text), {"a.factor_1": 0.5}))
    assert written == "a: Add(prediction, Mul(0.5, target)) | b: Mul(prediction, target)"


def test_a_range_that_is_none_is_refused():
    with pytest.raises(UserError, match="tuned_factor_range must be two finite numbers above 0, the lower first"):
        AutoLossZeroSettings(tuned_factors=1, tuned_factor_range=(2.0, 1.0))
