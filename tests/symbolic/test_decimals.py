"""Numbers that were searched for are written as people read them, and round ones as fractions."""

import pytest

from jaxloss.symbolic.describe import describe
from jaxloss.symbolic.reading import reading_of
from jaxloss.systems.autoloss_zero.space import autoloss_zero

SPACE = autoloss_zero()


@pytest.mark.parametrize(
    ("formula", "decimal", "latex"),
    [
        ("Mul(Exp(target), 0.271)", "0.271*exp(target)", r"0.271 \exp\left(y\right)"),
        ("Exp(Add(Mul(target, 1.3), prediction))", "exp(prediction + 1.3*target)", r"\exp\left(\hat{y} + 1.3 y\right)"),
        ("Mul(Exp(target), 0.27124097)", "0.2712*exp(target)", r"0.2712 \exp\left(y\right)"),
        # Written so already.
        ("Mul(Exp(target), 0.2713)", "", r"0.2713 \exp\left(y\right)"),
        # Halves, thirds and quarters stay what they are.
        ("Mul(Exp(target), 0.75)", "", r"\frac{3 \exp\left(y\right)}{4}"),
        ("Mul(Exp(target), 2)", "", r"2 \exp\left(y\right)"),
    ],
)
def test_a_number_in_a_formula(formula, decimal, latex):
    (description,) = describe([reading_of(SPACE, SPACE.parse(formula), {})])
    assert description.decimal_text == decimal
    assert description.latex == latex
