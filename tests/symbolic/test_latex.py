"""The LaTeX of a loss: in the letters of the papers, and drawable."""

import pytest

from jaxloss.graphs.formula import parse
from jaxloss.symbolic import symbols
from jaxloss.symbolic.expression import Formula, to_expression
from jaxloss.symbolic.proposals import RAW
from jaxloss.symbolic.render import to_latex
from jaxloss.symbolic.simplify import Simplified
from jaxloss.systems.autoloss_zero.published import AUTOLOSS_ZERO_FORMULAS
from jaxloss.systems.cse_autoloss.operators import CSE_AUTOLOSS
from tests.symbolic.formulas import INPUTS, OPERATOR_SETS, random_formula, zero


def test_latex_can_be_drawn():
    mathtext = pytest.importorskip("matplotlib.mathtext")
    formulas = [zero(text) for text in AUTOLOSS_ZERO_FORMULAS.values()]
    formulas += [random_formula(operators, seed) for operators in OPERATOR_SETS for seed in range(3)]
    parser = mathtext.MathTextParser("path")
    for formula in formulas:
        for simplified in (Simplified(None, RAW), Simplified(to_expression(formula), "simplified")):
            parser.parse(f"${to_latex(formula, simplified)}$")


def test_latex_uses_the_letters_of_the_papers():
    formula = zero("Mul(target, Mean_nhw(Exp(prediction)))")
    found = Simplified(symbols.read("target*Mean_nhw(exp(prediction))", formula.input_ranges), "simplified")
    assert to_latex(formula, found) == r"y \mathrm{Mean}_{nhw}\left(\exp\left(\hat{y}\right)\right)"
    inputs = INPUTS["cse_autoloss"]
    dot = Formula(parse("Dot(Add(logits, 1), target)", CSE_AUTOLOSS, inputs), CSE_AUTOLOSS, inputs)
    assert to_latex(dot, Simplified(None, RAW)) == r"\left(\left(x + 1\right)\right)^{\top} y"
