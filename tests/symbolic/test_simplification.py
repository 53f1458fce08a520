"""Simplified forms: what is shown of a loss is the loss, and what cannot be shown to be is not shown."""

import jax
import numpy as np
import pytest

from jaxloss.graphs.formula import parse
from jaxloss.graphs.graph import Graph, Node
from jaxloss.symbolic import symbols
from jaxloss.symbolic.describe import describe
from jaxloss.symbolic.expression import Formula, to_expression
from jaxloss.symbolic.proposals import RAW
from jaxloss.symbolic.reading import Reading
from jaxloss.symbolic.render import to_latex
from jaxloss.symbolic.simplify import simplify
from jaxloss.symbolic.verify import Claim, sample_inputs, verify
from jaxloss.systems.autoloss_gms.operators import AUTOLOSS_GMS
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO
from jaxloss.systems.autoloss_zero.published import AUTOLOSS_ZERO_FORMULAS
from tests.symbolic.formulas import BOXES, INPUTS, OPERATOR_SETS, RANGES, random_formula, zero

PAPER_SHAPES = {
    AUTOLOSS_ZERO_FORMULAS["autoloss_zero_global_accuracy"]: "exp((target - sqrt(prediction))**2)",
    AUTOLOSS_ZERO_FORMULAS["autoloss_zero_classification"]: "-target*log(prediction)",
    AUTOLOSS_ZERO_FORMULAS["autoloss_zero_rpn_classification"]: "exp(tanh(target))/prediction",
    AUTOLOSS_ZERO_FORMULAS["autoloss_zero_pose"]: "(prediction - 16*target**4)**2 + prediction**4",
    AUTOLOSS_ZERO_FORMULAS["autoloss_zero_bf1"]: (
        "exp(Mean_nhw(-MaxPool3x3(target)*log(MaxPool3x3(prediction))) + tanh(Mean_nhw(2*prediction + 1)))"
    ),
    # What the paper removed by hand: squares of one, absolute values and signs of what is positive; and 1 + 1.
    "Mul(Square(Square(1)), Abs(Exp(Abs(Mul(Add(1, 1), prediction)))))": "exp(2*prediction)",
    "Abs(Log(prediction))": "-log(prediction)",
    "Sqrt(Mean_nhw(Neg(Log(prediction))))": "sqrt(Mean_nhw(-log(prediction)))",
    # Factors and constants of the whole loss stay: the value must agree.
    "Add(Mul(Add(1, 1), Mul(target, prediction)), 1)": "2*target*prediction + 1",
    # The paper prints this without epsilon; but near 0, where the slope of p/tanh(p) vanishes, the slope is epsilon's.
    "Neg(Mul(Mul(target, prediction), Inv(Tanh(prediction))))": "-target*prediction/(tanh(prediction) + epsilon)",
    # Here epsilon decides: without it the loss is NaN where the target is 0. It goes only from the inner logarithm.
    "Log(Mul(target, Abs(Log(prediction))))": "sign(target)*log(-target*log(prediction) + epsilon)",
}


def test_formulas_get_the_shape_that_the_paper_prints():
    boxes = {
        "Neg(Log(Mul(intersection, Inv(enclosing))))": "-log(intersection/enclosing)",
        "Mul(enclosing, Inv(Add(intersection, union)))": "enclosing/(intersection + union)",
        "Neg(Mul(Sqrt(intersection), Inv(Sqrt(enclosing))))": "-sqrt(intersection)/sqrt(enclosing)",
    }
    formulas = [zero(text) for text in PAPER_SHAPES] + [zero(text, BOXES) for text in boxes]
    expected = [*PAPER_SHAPES.values(), *boxes.values()]
    for formula, text, found in zip(formulas, expected, simplify(formulas), strict=True):
        wanted = symbols.read(text, formula.input_ranges)
        assert found.verified, (text, found)
        assert (found.expression - wanted).expand() == 0, (text, found)


def test_a_proposal_with_another_value_or_gradient_is_refused():
    formula = zero("Neg(Mul(target, Log(prediction)))")

    def read(text):
        return symbols.read(text, formula.input_ranges)

    proposals = {
        "-target*log(prediction)": True,
        "-target*log(prediction) + 1/100000": False,
        "-2*target*log(prediction)": False,
        "-target*Detach(log(prediction))": False,  # the same value, no gradient
        "-log(prediction)**target + 1": False,
        "-target*log(prediction)*target/target": True,  # SymPy cancels before anything is computed
        "-target*log(prediction*target)": False,  # NaN where the target is 0
        "-target*gamma(prediction)": False,  # no JAX form
    }
    (accepted,) = verify([Claim(formula, tuple(read(text) for text in proposals))])
    assert dict(zip(proposals, accepted, strict=True)) == proposals


def test_nothing_is_accepted_where_nothing_can_be_compared():
    nowhere_finite = Formula(parse("Log(Neg(Exp(cosine)))", AUTOLOSS_GMS, ("cosine",)), AUTOLOSS_GMS, ("cosine",))
    proposals = (to_expression(nowhere_finite), symbols.read("log(-1 - cosine**2)", nowhere_finite.input_ranges))
    (accepted,) = verify([Claim(nowhere_finite, proposals)])
    assert accepted == [False, False]


def test_the_domain_decides_what_may_be_assumed():
    """|target| is the target only where the task says that targets are not negative."""
    inputs, text = INPUTS["autoloss_zero"], "Square(Add(Abs(target), Neg(prediction)))"
    declared, undeclared, negative = (
        Formula(parse(text, AUTOLOSS_ZERO, inputs), AUTOLOSS_ZERO, inputs, ranges=ranges)
        for ranges in (RANGES, {}, {"target": (-np.inf, 0)})
    )
    found = {formula.domain: str(one.expression) for formula in (declared, undeclared, negative) for one in simplify([formula])}
    assert found == {
        "prediction in (0, 1), target in [0, 1]": "(prediction - target)**2",
        "any real prediction, any real target": "(prediction - Abs(target))**2",
        "any real prediction, target in (-inf, 0]": "(prediction + target)**2",
    }
    (accepted,) = verify([Claim(undeclared, (symbols.read("(prediction - target)**2", declared.input_ranges),))])
    assert accepted == [False]


def test_samples_cover_the_domain():
    texts = {"target": (-np.inf, np.inf), "a": (-np.inf, np.inf), "b": (0, 1), "c": (2, np.inf), "d": (-np.inf, -1)}
    formula = Formula(parse("Add(target, a)", AUTOLOSS_ZERO, tuple(texts)), AUTOLOSS_ZERO, tuple(texts), ranges=texts)
    with jax.enable_x64(True):
        samples = jax.tree.map(np.asarray, dict(sample_inputs(formula).arrays))
    for name in ("target", "a"):
        sizes = np.abs(samples[name])
        assert min(np.sum(samples[name] < -10), np.sum(samples[name] > 10), np.sum((sizes > 0) & (sizes < 0.01))) > 10
    assert np.sum(samples["target"] == 0) > 10
    for name in "abcd":
        assert np.all((samples[name] > texts[name][0]) & (samples[name] < texts[name][1]) & (samples[name] != 0)), name
    (one_hot,) = (sample_inputs(zero("target")).arrays["target"],)
    assert np.sum(one_hot == 0) > np.sum(one_hot == 1) > np.sum((one_hot > 0.9) & (one_hot < 1)) > 10


@pytest.mark.parametrize("operators", OPERATOR_SETS, ids=lambda operators: operators.name)
def test_random_formulas_are_simplified_or_left_alone(operators):
    formulas = [random_formula(operators, seed) for seed in range(4)]
    descriptions = describe([Reading(str(formula.graph), {"loss": formula}) for formula in formulas], time_limit=1)
    claims = []
    for formula, description in zip(formulas, descriptions, strict=True):
        assert parse(description.text, operators, formula.inputs).merged() == formula.graph.merged()
        if description.simplified["loss"].verified:
            # Reading a text may evaluate what SymPy had left alone, hence a comparison by value.
            claims.append(Claim(formula, (symbols.read(description.sympy, formula.input_ranges),)))
    assert len(claims) >= 2
    assert verify(claims) == [[True]] * len(claims)


def test_a_graph_that_is_huge_as_a_tree_stays_as_it_is():
    nodes = [Node("cosine")]
    for index in range(40):
        nodes.append(Node("Mul", (index, index)))
    huge = Formula(Graph.build(nodes), AUTOLOSS_GMS, ("cosine",))
    (found,) = simplify([huge])
    assert found.method == RAW
    assert "too large" in found.note
    assert len(to_latex(huge, found)) < 2000
    with pytest.raises(ValueError, match="more than 2000 nodes"):
        to_expression(huge)
