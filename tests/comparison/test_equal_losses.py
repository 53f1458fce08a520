"""Which losses are one on a task, by the gradients of the network's outputs, and what is left without terms that do nothing."""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from examples.own_weights import polynomials
from jaxloss.core.errors import UserError
from jaxloss.spaces.output_gradients import LANES, RELATIVE, OutputGradients, agreeing
from jaxloss.study.equal_losses import MOST_TRIED, EqualLosses
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.tasks.fast import FastSettings, make_fast
from tests.compilations import counted

TASK = make_fast()
SAMPLES = TASK.output_samples()
SPACE = autoloss_zero()
PLAIN = "Neg(Mul(prediction, target))"
BATCH_READING = "Add(Neg(Mul(prediction, target)), Square(Mean_nhw(prediction)))"
# What softmax, one-hot targets and single positions make of it.
DRESSES = [
    "Add(Neg(Mul(prediction, target)), prediction)",
    "Neg(Mul(MinPool3x3(target), MaxPool3x3(prediction)))",
    "Add(Neg(Mul(prediction, target)), Neg(1))",
    "Add(Neg(Mul(prediction, target)), Square(Mean_c(prediction)))",
    "Neg(Mul(prediction, Square(Abs(target))))",
    "Mean_nhw(Neg(Mul(prediction, target)))",
]
# Another sign, another shape; the last two read the batch.
OTHERS = [
    "Mul(prediction, target)",
    "Neg(Mul(Square(prediction), target))",
    BATCH_READING,
    "Neg(Mul(Mean_nhw(prediction), target))",
]


@pytest.fixture(scope="module")
def equal():
    return EqualLosses(OutputGradients(SPACE, SAMPLES))


class TestOneLoss:
    def test_dresses_are_one_loss_and_others_are_not(self, equal):
        formulas = [PLAIN, *DRESSES, *OTHERS]
        of_others = range(1 + len(DRESSES), len(formulas))
        assert equal.firsts(formulas) == [0] * (1 + len(DRESSES)) + list(of_others)

    def test_a_factor_counts_unless_training_is_free_of_scale(self, equal):
        formulas = [PLAIN, "Neg(Mul(Add(prediction, prediction), target))", "Mul(prediction, target)"]
        assert equal.firsts(formulas) == [0, 1, 2]
        assert EqualLosses(OutputGradients(SPACE, SAMPLES), scale_free=True).firsts(formulas) == [0, 0, 2]

    def test_all_losses_of_a_space_take_one_compilation(self):
        gradients = OutputGradients(SPACE, SAMPLES)
        equal = EqualLosses(gradients)
        equal.firsts([PLAIN])
        with counted() as compilations:
            equal.firsts([*DRESSES, *OTHERS] * 3)
            equal.minimal(DRESSES[1])
        assert not compilations
        assert gradients.compilations == 1

    def test_a_space_without_graphs(self):
        gradients = OutputGradients(polynomials(), SAMPLES)
        equal = EqualLosses(gradients, scale_free=True)
        assert equal.firsts(["1, 0.5, 0, 0", "1, 0.5, 0, 0.3", "2.5, 1.25, 0, 0", "2, 1, 0, 0"]) == [0, 1, 0, 0]
        assert equal.shortest(["2.5, 1.25, 0, 0", "2, 1, 0, 0"]) == "2, 1, 0, 0"
        assert equal.minimal("2.5, 1.25, 0, 0") is None
        assert gradients.compilations == 1

    def test_several_branches(self):
        branches = ("first", "second")
        space = autoloss_zero(AutoLossZeroSettings(branches=branches, branch_weights=(1.0, 0.5)))
        equal = EqualLosses(OutputGradients(space, make_fast(FastSettings(branches=branches)).output_samples()))
        formulas = [
            f"first: {one} | second: {other}" for one, other in ((PLAIN, DRESSES[0]), (DRESSES[1], PLAIN), (PLAIN, OTHERS[1]))
        ]
        assert equal.firsts(formulas) == [0, 0, 2]
        assert equal.minimal(formulas[0]) == f"first: {PLAIN} | second: {PLAIN}"

    def test_the_shortest_has_the_fewest_nodes(self, equal):
        assert equal.shortest([*DRESSES, PLAIN]) == PLAIN
        assert equal.shortest(["Mul(target, prediction)", "Neg(prediction)"]) == "Neg(prediction)"
        # Of nodes alone `Mean_nhw` is no longer than `Abs`.
        assert equal.shortest(["Mean_nhw(prediction)", "Abs(prediction)"]) == "Abs(prediction)"

    def test_what_a_space_raises_is_one_line(self):
        broken = dataclasses.replace(SAMPLES, inputs=lambda *_: {})
        with pytest.raises(
            UserError, match="the loss of the space autoloss_zero at the output samples of the task raises KeyError"
        ):
            EqualLosses(OutputGradients(SPACE, broken)).firsts([PLAIN])


class TestGradients:
    def test_they_are_those_of_the_softmax_by_hand(self):
        """-p t has the gradient p_c (p_y - [c = y]) p_y at the logits, divided by the size of the batch."""
        (gradients,) = OutputGradients(SPACE, SAMPLES)([SPACE.parse(PLAIN)])
        logits, labels = np.asarray(SAMPLES.outputs, np.float64), np.asarray(SAMPLES.context)
        prediction = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        target = np.eye(logits.shape[-1])[labels]
        own = np.sum(prediction * target, axis=-1, keepdims=True)
        np.testing.assert_allclose(gradients, own * (prediction - target) / labels.shape[1], rtol=1e-6, atol=1e-12)

    def test_what_stands_beside_a_loss_changes_nothing(self):
        candidates = [SPACE.parse(text) for text in [*DRESSES, *OTHERS, *DRESSES, PLAIN]]
        assert len(candidates) == LANES + 1  # the last one stands alone in its call
        gradients = OutputGradients(SPACE, SAMPLES)
        for candidate, own in zip(candidates, gradients(candidates), strict=True):
            np.testing.assert_array_equal(gradients([candidate])[0], own)


def test_a_constant_behind_a_steep_function_is_one():
    """In float32 the two differ by a third of a sample's gradient."""
    first, second = (f"Inv(Add(Mul(prediction, target), Add(target, Mean_c({what}))))" for what in ("prediction", "target"))
    assert EqualLosses(OutputGradients(SPACE, SAMPLES), scale_free=True).firsts([first, second]) == [0, 0]


class TestAgreement:
    REFERENCE = np.random.default_rng(0).standard_normal((3, 4, 5))

    @pytest.mark.parametrize("size", [1e200, 1e-200])
    @pytest.mark.parametrize("scale_free", [True, False])
    def test_huge_and_tiny_gradients_are_compared_as_others(self, size, scale_free):
        others = size * np.stack([self.REFERENCE, 2 * self.REFERENCE, self.REFERENCE[::-1]])
        assert agreeing(size * self.REFERENCE, others, scale_free).tolist() == [True, scale_free, False]

    @pytest.mark.parametrize(("factor", "agrees"), [(0.5, True), (2.0, False)])
    def test_the_tolerance_is_of_each_sample(self, factor, agrees):
        """The smallest of the samples may differ as little, relative to itself, as the largest."""
        scale = np.array([1.0, 0.1, 10.0, 1.0])[:, None]
        other = np.array(self.REFERENCE * scale)
        other[1, 1] *= 1 + factor * RELATIVE
        assert agreeing(self.REFERENCE * scale, other[None]).tolist() == [agrees]

    def test_what_is_rounded_off_in_a_batch_counts_for_nothing(self):
        scale = np.array([1.0, 1e-7, 1.0, 1.0])[:, None]
        other = np.array(self.REFERENCE * scale)
        other[:, 1] = 1e-7
        assert agreeing(self.REFERENCE * scale, other[None]).all()

    def test_nan_and_infinity_have_to_be_in_the_same_places(self):
        kinds = {value: np.array(self.REFERENCE) for value in ("nan", "inf", "-inf", "0")}
        for value, array in kinds.items():
            array[0, 1, 2] = float(value)
        for (one, first), (other, second) in itertools.product(kinds.items(), repeat=2):
            assert agreeing(first, second[None]).tolist() == [one == other], (one, other)

    def test_a_factor(self):
        others = np.stack([2 * self.REFERENCE, -self.REFERENCE, self.REFERENCE * np.array([1, 2, 1])[:, None, None]])
        assert agreeing(self.REFERENCE, others).tolist() == [False] * 3
        assert agreeing(self.REFERENCE, others, scale_free=True).tolist() == [True, False, False]

    def test_a_gradient_that_is_nowhere_finite_tells_nothing(self):
        nowhere = np.full((3, 4, 5), np.nan)
        assert agreeing(nowhere, nowhere[None]).tolist() == [False]


class TestMinimal:
    @pytest.mark.parametrize("formula", [*DRESSES, f"Add({DRESSES[0]}, Square(Mean_c(MaxPool3x3(target))))"])
    def test_what_does_nothing_is_left_out(self, equal, formula):
        assert equal.minimal(formula) in (PLAIN, "Neg(Mul(target, prediction))")

    def test_a_term_that_does_nothing_goes_and_one_that_matters_stays(self, equal):
        assert equal.minimal(f"Add(prediction, {BATCH_READING})") == BATCH_READING

    @pytest.mark.parametrize("formula", [PLAIN, *OTHERS])
    def test_what_matters_stays(self, equal, formula):
        assert equal.minimal(formula) is None

    def test_it_may_be_smaller_by_a_factor_where_training_is_free_of_scale(self):
        doubled = "Neg(Mul(Add(prediction, prediction), target))"
        assert EqualLosses(OutputGradients(SPACE, SAMPLES)).minimal(doubled) is None
        assert EqualLosses(OutputGradients(SPACE, SAMPLES), scale_free=True).minimal(doubled) == PLAIN

    def test_a_form_that_never_ends_is_stopped(self):
        """Whoever gives the same expression again and again is asked for it so often only."""

        class Endless(type(SPACE.branches[0].form)):
            asked = 0

            def smaller(self, expression):
                for _ in itertools.count():
                    type(self).asked += 1
                    yield expression

        branch = dataclasses.replace(SPACE.branches[0], form=Endless(SPACE.branches[0].form.layout))
        space = dataclasses.replace(SPACE, branches=(branch,))
        assert EqualLosses(OutputGradients(space, SAMPLES)).minimal(PLAIN) == PLAIN
        assert Endless.asked == MOST_TRIED


def test_samples_of_several_arrays():
    """Outputs that are no single array: gradients of all of them count."""
    both = dataclasses.replace(
        SAMPLES,
        outputs={"logits": SAMPLES.outputs, "shift": jnp.zeros_like(SAMPLES.outputs)},
        inputs=lambda outputs, labels: SAMPLES.inputs(outputs["logits"] + 2 * outputs["shift"], labels),
    )
    single, double = (OutputGradients(SPACE, samples)([SPACE.parse(PLAIN)]) for samples in (SAMPLES, both))
    np.testing.assert_allclose(double, np.concatenate([single, 2 * single], axis=-1), rtol=1e-5, atol=1e-8)
