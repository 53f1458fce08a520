"""The cascade of filters: a reason for every rejection, the protocol of the paper, and what is remembered."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.core.verdicts import ACCEPTED
from jaxloss.filters.cascade import Remembered
from jaxloss.filters.contents import missing
from jaxloss.filters.equivalence import Known, LossMemory
from jaxloss.filters.gradient import NON_FINITE_GRADIENT, ZERO_GRADIENT, gradient_texts
from jaxloss.filters.rejection import NO_METRIC_GAIN, NON_FINITE_OPTIMISATION, check_headroom
from jaxloss.filters.remembered_losses import EQUIVALENT_TO_REJECTED
from jaxloss.filters.settings import RejectionSettings
from tests.problems import BRANCH, LABELS, START, classification_problem, graph, make_cascade

NO_PREDICTION, NO_TARGET = (missing(frozenset({name})) for name in ("prediction", "target"))
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"
MINUS_CROSS_ENTROPY = "Mul(target, Log(prediction))"


@pytest.fixture(scope="module")
def cascade():
    return make_cascade()


def screen(cascade, *texts, memory=None):
    return cascade.screen([graph(text) for text in texts], memory or LossMemory())


def reasons(cascade, *texts, memory=None):
    return [screened.verdict.reason for screened in screen(cascade, *texts, memory=memory)]


# --- reasons -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Add(target, 1)", NO_PREDICTION),
        ("1", NO_PREDICTION),
        ("Log(prediction)", NO_TARGET),
        ("Mul(prediction, target)", ACCEPTED),
    ],
)
def test_contents(cascade, text, reason):
    assert cascade.look(graph(text)).reason is reason


def test_reasons_of_the_gradient(cascade):
    overflow = "Exp(Exp(Exp(Exp(Exp(Add(prediction, target))))))"
    constant = "Add(target, Mul(prediction, 0))"
    assert reasons(cascade, overflow, constant) == [NON_FINITE_GRADIENT, ZERO_GRADIENT]


def test_a_gradient_that_is_nan_on_one_sample_is_enough():
    """`Sqrt` of the operators is `sign(x) sqrt(|x| + eps)`: safe at zero, so the overflow comes from one large prediction."""
    start = START.copy()
    start[2, 0] = 100.0
    text = "Mul(target, Exp(prediction))"
    sound, one_bad = (make_cascade(classification_problem(values), enabled=False) for values in (START, start))
    assert reasons(sound, text) == [ACCEPTED]
    assert reasons(one_bad, text) == [NON_FINITE_GRADIENT]


def test_reasons_of_the_protocol(cascade):
    diverges = "Mul(target, Neg(Mul(prediction, Square(Square(prediction)))))"
    found = screen(cascade, CROSS_ENTROPY, MINUS_CROSS_ENTROPY, diverges)
    assert [one.verdict.reason for one in found] == [ACCEPTED, NO_METRIC_GAIN, NON_FINITE_OPTIMISATION]
    assert found[0].verdict.value == pytest.approx(1.0)
    assert found[1].verdict.value == pytest.approx(0.0)


def test_the_direction_of_a_loss_decides_and_norms_do_not(cascade):
    """L and -L share their gradient norms. The rejected one must not shut out the other, in either order."""
    good, bad = screen(cascade, CROSS_ENTROPY, MINUS_CROSS_ENTROPY)
    assert good.signature == bad.signature
    assert good.sketch != bad.sketch
    memory = LossMemory()
    memory.remember_rejected(BRANCH.name, bad.sketch)
    assert reasons(cascade, CROSS_ENTROPY, MINUS_CROSS_ENTROPY, memory=memory) == [
        ACCEPTED,
        EQUIVALENT_TO_REJECTED,
    ]


def test_equivalent_to_trained_passes_without_the_protocol(cascade):
    """The norms of a trained loss are known: the branch passes, and whose score it takes is looked up with all branches."""
    memory = LossMemory()
    (first,) = screen(cascade, CROSS_ENTROPY)
    memory.remember_trained({BRANCH.name: first.signature}, Known(7, 0.9))
    strict = make_cascade(iterations=1)  # in one step nothing gains: only the memory lets it pass
    twin = "Mul(Log(prediction), Neg(target))"
    assert reasons(strict, twin) == [NO_METRIC_GAIN]
    assert reasons(strict, twin, memory=memory) == [ACCEPTED]
    (second,) = screen(strict, twin, memory=memory)
    assert np.isnan(second.verdict.value)
    assert memory.trained[second.signature] == Known(7, 0.9)


def test_the_memory_keeps_the_first_of_its_kind():
    memory = LossMemory()
    memory.remember_trained({"a": "1", "b": "2"}, Known(0, 0.5))
    memory.remember_trained({"b": "2", "a": "1"}, Known(1, 0.7))
    assert memory.trained == {"1 | 2": Known(0, 0.5)}
    assert memory.accepted_branches == {("a", "1"), ("b", "2")}


def test_without_a_protocol_every_sound_gradient_passes():
    assert reasons(make_cascade(enabled=False), MINUS_CROSS_ENTROPY, "Mul(0, Mul(prediction, target))") == [
        ACCEPTED,
        ZERO_GRADIENT,
    ]


# --- the protocol against an independent implementation ----------------------------------------------------------------------


def momentum_descent(slope, learning_rate=0.001, momentum=0.9, iterations=500):
    """Eq. 3 with Appendix A's numbers: every sample on its own, velocity = momentum * velocity + gradient."""
    prediction = START.astype(np.float64).copy()
    target = np.eye(3)[LABELS]
    velocity = np.zeros_like(prediction)
    for _ in range(iterations):
        velocity = momentum * velocity + slope(prediction, target)
        prediction -= learning_rate * velocity
    return np.mean(prediction.argmax(1) == LABELS) - np.mean(START.argmax(1) == LABELS)


def cross_entropy_slope(prediction, target, epsilon=1e-12):
    # Log is sign(x) log(|x| + epsilon).
    return -target * np.sign(prediction) * np.sign(prediction) / (np.abs(prediction) + epsilon)


SLOPES = {
    CROSS_ENTROPY: cross_entropy_slope,
    "Square(Add(prediction, Neg(target)))": lambda prediction, target: 2 * (prediction - target),
    "Neg(Mul(prediction, target))": lambda prediction, target: -target,
    "Mul(prediction, Add(1, Mul(-3, target)))": lambda prediction, target: 1 - 3 * target,
}


@pytest.mark.parametrize("iterations", [pytest.param(20, marks=pytest.mark.slow), 38, pytest.param(500, marks=pytest.mark.slow)])
def test_the_gain_is_that_of_momentum_descent_on_the_predictions(iterations):
    """Stopped early the gain is a fraction that depends on rate, momentum and the number of iterations."""
    expected = [momentum_descent(slope, iterations=iterations) for slope in SLOPES.values()]
    assert len({round(gain, 3) for gain in expected}) > 1 or iterations == 500
    found = screen(make_cascade(iterations=iterations), *SLOPES)
    assert [one.verdict.value for one in found] == pytest.approx(expected, abs=1e-6)
    assert [one.verdict.accepted for one in found] == [gain >= 0.6 - 1e-6 for gain in expected]


def test_a_problem_whose_metric_is_nan_is_refused():
    problem = dataclasses.replace(classification_problem(), metric=lambda predictions, context: jnp.nan)
    with pytest.raises(UserError, match="the metric of the rejection problem must be a number from 0 to 1, and is nan"):
        check_headroom(problem, RejectionSettings())


def test_a_gain_of_exactly_the_threshold_passes(cascade):
    """Three of five samples turn right, and 0.6 is asked for: rounding must not decide."""
    labels = START.argmax(1).copy()
    labels[:3] = LABELS[:3]
    problem = classification_problem(labels=labels)
    with pytest.raises(UserError, match="no room"):
        check_headroom(problem, RejectionSettings(minimum_gain=0.7))
    (screened,) = screen(make_cascade(problem, minimum_gain=0.6), CROSS_ENTROPY)
    assert screened.verdict.reason is ACCEPTED
    assert screened.verdict.value == pytest.approx(0.6)


def test_no_headroom_is_one_line_that_says_what_to_change():
    labels = START.argmax(1).copy()
    labels[0] = LABELS[0]
    with pytest.raises(UserError, match=r"no room for a gain of 0\.6.*already has 0\.80.*filters\.rejection") as caught:
        make_cascade(classification_problem(labels=labels))
    assert "\n" not in str(caught.value)


# --- what is remembered ------------------------------------------------------------------------------------------------------


def test_results_are_kept_up_to_a_bound():
    """The least recently asked for go first, and nothing is computed twice in one call."""
    asked = []

    def compute(keys):
        asked.append(tuple(keys))
        return [key.upper() for key in keys]

    kept = Remembered(2)
    assert kept.of(["a", "b", "a"], compute) == ["A", "B", "A"]
    assert kept.of(["b", "a"], compute) == ["B", "A"]
    assert kept.of(["c"], compute) == ["C"]  # b goes
    assert kept.of(["a", "b"], compute) == ["A", "B"]
    assert asked == [("a", "b"), ("c",), ("b",)]


def test_the_memory_of_rejected_losses_is_bounded():
    memory = LossMemory(max_rejected=3)
    for sketch in ("a", "b", "a", "c", "d"):
        memory.remember_rejected("classification", sketch)
    assert [memory.has_rejected("classification", sketch) for sketch in "abcd"] == [False, True, True, True]
    assert not memory.has_rejected("boxes", "b")
    assert memory.num_rejected == 3


# --- descriptions of a gradient ----------------------------------------------------------------------------------------------


def test_norms_are_rounded_to_significant_digits():
    norms, projections = np.array([123.4, 0.001249, 0.0, 9.96], np.float32), np.array([1.23456, -2e-5])
    assert gradient_texts(norms, projections, 2, False).signature == "1.2e+02 1.2e-03 0.0e+00 1.0e+01"
    assert gradient_texts(norms, projections, 3, False).signature == "1.23e+02 1.25e-03 0.00e+00 9.96e+00"
    assert gradient_texts(norms, projections, 2, False).sketch == "1.235e+00 -2.000e-05"


def test_scale_matters_unless_it_is_switched_off(cascade):
    double = f"Mul(2, {CROSS_ENTROPY})"
    one, other = screen(cascade, CROSS_ENTROPY, double)
    assert one.signature != other.signature
    one, other = screen(make_cascade(enabled=False, scale_free=True), CROSS_ENTROPY, double)
    assert one.signature == other.signature
    # What the protocol does depends on the scale: the memory of rejected losses keeps it.
    assert one.sketch != other.sketch


def test_the_gradient_is_taken_on_the_joint_batch(cascade):
    """Per sample, the mean over n would be the identity."""
    plain, averaged = screen(cascade, "Mul(prediction, target)", "Mul(Mean_nhw(prediction), target)")
    assert plain.signature != averaged.signature
    norms = [float(text) for text in plain.signature.split()]
    assert norms == [1.0] * 5


def test_norms_are_those_of_the_gradient(cascade):
    (screened,) = screen(cascade, "Square(Add(prediction, Neg(target)))")
    expected = 2 * np.linalg.norm(START - np.eye(3)[LABELS], axis=1)
    np.testing.assert_allclose([float(text) for text in screened.signature.split()], expected, rtol=0.05)
