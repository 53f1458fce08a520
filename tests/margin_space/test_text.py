"""The text of a candidate: it comes back, and mistakes in it are one line."""

import dataclasses

import numpy as np
import pytest

from jaxloss.config.plan import make_contender
from jaxloss.core.errors import UserError
from jaxloss.study.contender import GIVEN
from jaxloss.systems.autoloss_gms.settings import AutoLossGMSSettings
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from tests.margin_space.losses import FORM, FORMULAS, SPACE


@pytest.mark.parametrize("name", FORMULAS)
def test_text_form_comes_back(name):
    expression = FORM.parse(FORMULAS[name])
    again = FORM.parse(FORM.write(expression))
    assert again == expression
    assert FORM.key(again) == FORM.key(FORM.canonical(expression))


@pytest.mark.parametrize("name", FORMULAS)
def test_a_tuned_scale_comes_back_with_all_its_digits(name):
    expression = dataclasses.replace(FORM.parse(FORMULAS[name]), log2_scale=0.1 + 4.2)
    assert FORM.parse(FORM.write(expression)).log2_scale == 0.1 + 4.2
    assert FORM.write(dataclasses.replace(expression, log2_scale=4.0)).endswith("log2_s: 4")


def test_a_scale_that_is_tuned_beyond_those_that_are_searched_comes_back():
    """A loss is made shorter, and loses its terms one at a time, with its tuned scale."""
    space = autoloss_gms(AutoLossGMSSettings(num_scales=4, tuned_scales=(0.25, 7.0)))
    for tuned in (0.3, 6.5):
        candidate = space.with_hyperparameters(space.parse("t: x | n: x | log2_s: 2"), {"log2_s": tuned})
        assert space.parse(space.write(candidate)) == candidate
    (branch,) = space.branches
    drawn = {space.sample(np.random.default_rng(seed), branch).log2_scale for seed in range(50)}
    assert drawn == {0.5, 1.0, 1.5, 2.0}


def test_offspring_come_back():
    """Not as objects: an input that several operators read is read once for each."""
    (branch,) = SPACE.branches
    parents = [SPACE.sample(np.random.default_rng((1, number)), branch) for number in range(20)]
    for number in range(400):
        generator = np.random.default_rng((2, number))
        child, _ = SPACE.offspring(generator, branch, [parents[index] for index in generator.integers(20, size=2)])
        again = branch.form.parse(branch.form.write(child))
        assert branch.form.write(again) == branch.form.write(child)
        assert branch.form.key(again) == branch.form.key(child)
        assert branch.form.canonical(again) == branch.form.canonical(child)
        assert (again.own.merged(), again.other.merged()) == (child.own.merged(), child.other.merged())
        parents[number % 20] = child


def test_a_long_text_is_not_repeated_whole():
    for text in ("Neg(" * 62_500, f"t: x | n: x | log2_s: {'9' * 100_000}"):
        with pytest.raises(UserError) as error:
            SPACE.parse(text)
        assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Minus(x, 0.2)", "has the form 't: FORMULA | n: FORMULA | log2_s: NUMBER', not 'Minus(x, 0.2)'"),
        ("t: x | n: x | log2_s: 12", "log2_s must be a number from 0.5 to 10, not '12'"),
        ("t: x | n: x | log2_s: many", "log2_s must be a number from 0.5 to 10, not 'many'"),
        ("t: x | n: x | log2_s: ٣", "log2_s must be a number from 0.5 to 10, not '٣'"),
        ("t: Sin(y) | n: x | log2_s: 4", "unknown input 'y'; inputs are x"),
        ("t: x | n: Mull(x, x) | log2_s: 4", "Did you mean 'Mul'?"),
        ("t: Add(Mul(0.1, x), Add(0.2, 0.3)) | n: x | log2_s: 4", "2 different numbers"),
    ],
)
def test_bad_text_is_one_clear_line(text, message):
    with pytest.raises(UserError) as error:
        SPACE.parse(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_mistakes_in_a_curve_say_which():
    for text, message in (
        ("t: Foo(x) | n: x | log2_s: 4", "bad formula of t at character 1: unknown operator 'Foo'"),
        ("t: x | n: Add(x) | log2_s: 4", "bad formula of n at character 1: Add takes 2 operands"),
        ("t: x | n: x ? | log2_s: 4", r"bad formula of n at character 3: unexpected character '\?'"),
    ):
        with pytest.raises(UserError, match=message):
            FORM.parse(text)
    with pytest.raises(UserError, match="is a constant: nothing can be learned with it"):
        make_contender("t: 0.3 | n: 0.5 | log2_s: 4", SPACE)
    assert make_contender("t: 0.3 | n: x | log2_s: 4", SPACE).kind == GIVEN
