"""Filters of margin-based losses: properties of the curves, the toy optimisation, equivalence by curves."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.core.verdicts import ACCEPTED, reason_of
from jaxloss.filters.base import UNDECIDED, Screened
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.context import FilterContext
from jaxloss.filters.equivalence import Known, LossMemory
from jaxloss.filters.form_population import FormPopulation
from jaxloss.filters.rejection import NO_METRIC_GAIN, REASONS, RejectionProtocol
from jaxloss.filters.remembered_losses import EQUIVALENT_TO_REJECTED
from jaxloss.filters.settings import FilterSettings, RejectionSettings
from jaxloss.systems.autoloss_gms.properties import OTHER_NOT_RISING, OWN_ABOVE_OTHER, OWN_NOT_RISING, CurveFilter, CurveSampler
from jaxloss.systems.autoloss_gms.published import AUTOLOSS_GMS_FORMULAS, MARGIN_SOFTMAX_FORMULAS
from jaxloss.systems.autoloss_gms.settings import PropertySettings
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.tasks.cosine_problem import toy_problem

SPACE = autoloss_gms()
(BRANCH,) = SPACE.branches
FORM = BRANCH.form
FORMULAS = {**AUTOLOSS_GMS_FORMULAS, **MARGIN_SOFTMAX_FORMULAS}
TAU_TOY = 0.9


@pytest.fixture(scope="module")
def describer():
    return CurveFilter(FORM, PropertySettings())


def describe(curves, losses):
    """What the filter of the curves says of losses of which nothing is known yet."""
    return curves.check(losses, [Screened()] * len(losses), LossMemory())


@pytest.fixture(scope="module")
def cascade():
    problem = toy_problem(jax.random.key(0), 64, 16)
    gain = TAU_TOY - float(problem.metrics(problem.start).mean())
    settings = FilterSettings(rejection=RejectionSettings(200, 0.01, 0.9, gain))
    return Cascade(BRANCH.name, BRANCH.form, SPACE.make_filters(FilterContext(BRANCH, lambda name: problem, settings)))


def test_blocks_are_refused():
    problem = toy_problem(jax.random.key(0), 8, 4)
    with pytest.raises(UserError, match="those of two curves have auto or vmap"):
        SPACE.make_filters(FilterContext(BRANCH, lambda name: problem, FilterSettings(batching="blocks")))


def loss(own="x", other="x", log2_scale=4):
    return FORM.parse(f"t: {own} | n: {other} | log2_s: {log2_scale}")


# --- curves --------------------------------------------------------------------------------------------------------------------


def test_curves_are_the_functions_on_257_points_in_float64():
    x = np.linspace(-1, 1, 257)
    with np.errstate(invalid="ignore", divide="ignore"):
        wanted = [np.tanh(x), np.log(x), np.arcsin(x) ** 2, np.full(257, 0.3)]
    graphs = [loss(text).own for text in ("Tanh(x)", "Log(x)", "Square(Arcsin(x))", "0.3")]
    found = CurveSampler(FORM.layout, 257)(graphs)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-14)
    np.testing.assert_allclose(found[0, 1], 1 - np.tanh(x) ** 2, atol=1e-14)  # slopes


def test_a_population_takes_one_compilation(describer):
    losses = [SPACE.sample(np.random.default_rng(seed), BRANCH) for seed in range(150)]
    together = describe(describer, losses)
    alone = [describe(describer, [one])[0] for one in losses[:3]]
    assert together[:3] == alone
    assert describer.compilations == 1


# --- properties ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(describer, cascade):
    """Of every loss that is known: what the curves say, and the verdict of all filters."""
    losses = [FORM.parse(text) for text in FORMULAS.values()]
    pairs = zip(describe(describer, losses), cascade.screen(losses, LossMemory()), strict=True)
    return {name: (described.verdict, screened.verdict) for name, (described, screened) in zip(FORMULAS, pairs, strict=True)}


@pytest.mark.parametrize("name", FORMULAS)
def test_published_and_hand_crafted_losses_pass(judged, name):
    """All of Table 3 and the prior knowledge: the properties, and the toy optimisation with tau = 0.9 on 64 rows."""
    of_curves, verdict = judged[name]
    assert of_curves is UNDECIDED
    assert verdict.accepted, verdict


@pytest.mark.parametrize(
    ("own", "other", "reason"),
    [
        ("Neg(x)", "Add(Exp(x), 1)", OWN_NOT_RISING),
        ("x", "Minus(2, x)", OTHER_NOT_RISING),
        ("Add(x, 0.5)", "x", OWN_ABOVE_OTHER),
    ],
)
def test_each_property_is_asked_for_alone(describer, own, other, reason):
    """The other two hold: mended in that one place, the loss passes."""
    assert describe(describer, [loss(own, other)])[0].verdict.reason is reason
    mended = {
        OWN_NOT_RISING: loss("x", other),
        OTHER_NOT_RISING: loss(own, "Add(x, 1)"),
        OWN_ABOVE_OTHER: loss("Minus(x, 0.5)", other),
    }[reason]
    assert describe(describer, [mended])[0].verdict is UNDECIDED


def test_a_property_may_fail_on_a_fifth_of_the_points():
    """|x - c| falls on the share (1 + c) / 2 of [-1, 1]."""
    for corner, passes in ((-0.62, True), (-0.58, False)):
        own, other = f"Abs(Minus(x, {corner}))", f"Add(Abs(Minus(x, {corner})), 0.1)"
        verdict = describe(CurveFilter(FORM, PropertySettings()), [loss(own, other)])[0].verdict
        assert (verdict is UNDECIDED) == passes
    strict = CurveFilter(FORM, PropertySettings(fraction=0.99))
    assert describe(strict, [loss("Abs(Minus(x, -0.62))")])[0].verdict.reason is OWN_NOT_RISING
    lenient = CurveFilter(FORM, PropertySettings(enabled=False))
    assert describe(lenient, [loss("Neg(x)")])[0].verdict is UNDECIDED


def test_values_are_judged_and_not_derivatives(describer):
    """With a detached factor the slope that trains Circle loss is one thing, the curve another."""
    assert describe(describer, [loss("Neg(Detach(x))")])[0].verdict.reason is OWN_NOT_RISING
    assert describe(describer, [loss("Detach(x)")])[0].verdict is UNDECIDED


def test_what_is_not_a_number_does_not_hold(describer):
    assert describe(describer, [loss("Log(x)")])[0].verdict.reason is OWN_NOT_RISING  # half of [-1, 1] has no logarithm


# --- equivalence ---------------------------------------------------------------------------------------------------------------


def test_equal_curves_and_scales_are_one_loss(describer):
    same = [loss("Add(x, 0.3)", "Add(x, 0.5)"), loss("Minus(0.3, Neg(x))", "Add(0.5, Mul(x, Div(0.7, 0.7)))")]
    different = [
        loss("Add(x, 0.31)", "Add(x, 0.5)"),
        loss("Add(x, 0.3)", "Add(x, 0.5)", 4.5),
        loss("Add(x, 0.3)", "Add(x, 0.51)"),
    ]
    signatures = [one.signature for one in describe(describer, same + different)]
    assert signatures[0] == signatures[1]
    assert len(set(signatures)) == 4


def test_values_are_compared_to_13_decimal_places(describer):
    """Rounding alone tells 0.3 from what float64 makes of 0.7 - 0.4."""
    near = [loss("Add(x, 0.3)", "Add(x, 1)"), loss("Minus(Add(x, 0.7), 0.4)", "Add(x, 1)")]
    assert len({one.signature for one in describe(describer, near)}) == 1
    assert len({one.signature for one in describe(CurveFilter(FORM, PropertySettings(digits=17)), near)}) == 2
    apart = [loss(f"Add(x, {number})", "Add(x, 1)") for number in ("0.3", "0.30000000000001", "0.3000000000003")]
    assert [one.signature == describe(describer, apart[:1])[0].signature for one in describe(describer, apart)] == [
        True,
        True,
        False,
    ]


def test_a_loss_is_not_taken_for_its_detached_twin(describer, cascade):
    """Equal values, other slopes: the twin teaches nothing, is rejected, and must not take the loss with it."""
    plain, blind, half = loss(), loss("Detach(x)", "Detach(x)"), loss("Detach(x)", "x")
    signatures = [one.signature for one in describe(describer, [plain, blind, half, loss("x", "Detach(x)")])]
    assert len(set(signatures)) == 4
    memory = LossMemory()
    (screened,) = cascade.screen([blind], memory)
    memory.remember_rejected("identity", screened.sketch)
    assert screened.verdict.reason is NO_METRIC_GAIN
    assert cascade.screen([plain], memory)[0].verdict.accepted


def test_detached_parts_are_compared_by_their_slopes_only_where_they_hold_one_back(describer):
    circle = loss("Mul(Detach(Minus(1.3, x)), Minus(x, 1))")
    same = loss("Mul(Minus(x, 1), Detach(Neg(Minus(x, 1.3))))")
    assert len({one.signature for one in describe(describer, [circle, same])}) == 1
    # A kink has many slopes, a constant none.
    same = [loss("Relu(x)", "Add(x, 1)"), loss("Mul(Add(x, Abs(x)), 0.5)", "Add(x, 1)"), loss("Relu(x)", "Add(x, Detach(1))")]
    assert len({one.signature for one in describe(describer, same)}) == 1
    by_values = CurveFilter(FORM, PropertySettings(slopes=False))
    assert len({one.signature for one in describe(by_values, [loss(), loss("Detach(x)")])}) == 1


def test_a_loss_with_known_curves_takes_over_the_verdict(cascade):
    first, again = loss("Add(x, 0.1)", "Add(x, 0.3)"), loss("Minus(0.1, Neg(x))", "Add(0.3, x)")
    memory = LossMemory()
    (screened,) = cascade.screen([first], memory)
    memory.remember_trained({"identity": screened.signature}, Known(0, 0.5))
    assert cascade.screen([again], memory)[0].verdict.value != cascade.screen([again], LossMemory())[0].verdict.value
    memory = LossMemory()
    memory.remember_rejected("identity", screened.sketch)
    assert cascade.screen([again], memory)[0].verdict.reason is EQUIVALENT_TO_REJECTED


# --- the toy optimisation ------------------------------------------------------------------------------------------------------


def test_losses_that_teach_nothing_fail_the_toy_optimisation(cascade):
    """They have the properties, by their values, but nothing flows through what is detached."""
    blind = loss("Detach(x)", "Detach(x)")
    assert cascade.screen([blind], LossMemory())[0].verdict.reason is NO_METRIC_GAIN


def test_toy_problem_starts_at_chance_and_stays_in_range():
    problem = toy_problem(jax.random.key(1), 400, 10)
    assert float(problem.start.std()) == pytest.approx(0.2, abs=0.01)
    assert float(problem.metrics(problem.start).mean()) == pytest.approx(0.1, abs=0.05)
    far = problem.inputs(100 * problem.start, problem.context)
    assert float(np.abs(far.arrays["cosine"]).max()) <= 1
    free = toy_problem(jax.random.key(1), 400, 10, "cosine")
    assert np.array_equal(free.inputs(free.start, free.context).arrays["cosine"], free.start)


@pytest.mark.slow
def test_loop_and_vmap_give_the_same_verdicts():
    """On a CPU lanes come one after the other, on an accelerator side by side."""
    problem = toy_problem(jax.random.key(0), 16, 6)
    texts = [*list(FORMULAS.values())[::3], "t: Detach(x) | n: Detach(x) | log2_s: 4", "t: Log(x) | n: x | log2_s: 3"]
    losses = [FORM.parse(text) for text in texts]
    losses += [SPACE.sample(np.random.default_rng(seed), BRANCH) for seed in range(6)]
    settings = RejectionSettings(100, 0.01, 0.9, 0.6)
    found = []
    for batching, lanes in (("map", 4), ("vmap", 7)):
        protocol = RejectionProtocol(problem, FormPopulation(problem, FORM, lanes, 2**30, batching), settings)
        found.append(protocol(losses)["reason"])
        assert protocol.compilations == 1
    np.testing.assert_array_equal(*found)
    assert {reason_of(code, REASONS) for code in found[0]} >= {ACCEPTED, NO_METRIC_GAIN}


def test_the_width_keeps_to_the_budget():
    problem = toy_problem(jax.random.key(0), 64, 16)
    wide, narrow = (FormPopulation(problem, FORM, 1024, budget, "vmap").lanes for budget in (2**40, 2**23))
    assert wide == 1024
    assert 1 <= narrow < 20
    assert dataclasses.is_dataclass(problem)
