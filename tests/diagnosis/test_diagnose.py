"""What is said of losses that everybody knows."""

import functools
import math

import numpy as np
import pytest

from jaxloss.spaces.families import family
from jaxloss.study.contender import FOUND, HANDCRAFTED, Contender
from jaxloss.study.diagnosis.diagnose import diagnose
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.tasks.cosine_samples import cosine_samples
from jaxloss.tasks.fast import make_fast
from jaxloss.tasks.regression.inputs import output_samples

TASK, SPACE = make_fast(), autoloss_zero()
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"


@functools.cache
def diagnosis_of(name):
    """Of a hand-crafted loss, or of a formula."""
    is_formula = "(" in name
    contender = Contender(name, FOUND, SPACE, name) if is_formula else Contender(name, HANDCRAFTED, family(name))
    return diagnose(contender, contender.default(0.1), TASK)


def sweep_of(name):
    (sweep,) = diagnosis_of(name)["sweeps"]
    return sweep


class TestPoles:
    def test_cross_entropy_has_one_at_0_that_the_logits_do_not_feel(self):
        sweep = sweep_of(CROSS_ENTROPY)
        assert diagnosis_of(CROSS_ENTROPY)["poles"] == {
            "points": [["classification", "value", "prediction = 0, target = 1"]],
            "note": "",
        }
        ((what, low, high),) = sweep["runaways"]
        assert (what, low < 1e-11, 1e-7 < high < 1e-6) == ("gradient above 1e+06", True, True)
        assert sweep["largest_by_logits"] < math.sqrt(2)
        # The hand-crafted one reads logits, and is the same.
        assert [one[0] for one in sweep_of("cross_entropy")["runaways"]] == ["gradient above 1e+06"]
        assert diagnosis_of("cross_entropy")["poles"] is None

    def test_mean_absolute_error_has_none(self):
        assert sweep_of("mae")["runaways"] == []
        formula = "Abs(Add(target, Neg(prediction)))"
        assert sweep_of(formula)["runaways"] == []
        assert diagnosis_of(formula)["poles"]["points"] == []

    def test_a_root_has_a_slope_without_end(self):
        points = diagnosis_of("Neg(Mul(target, Sqrt(prediction)))")["poles"]["points"]
        assert points == [["classification", "slope", "prediction = 0, target = 1"]]

    def test_one_at_the_right_prediction_is_told_from_one_at_the_wrong(self):
        formula = "Inv(Add(prediction, Neg(target)))"
        assert [what for what, *_ in sweep_of(formula)["runaways"]] == [
            "value above 1e+06",
            "gradient above 1e+06",
            "gradient by the logits not below 1e+06",
        ]
        assert all(high == 1.0 or low > 0.99 for _, low, high in sweep_of(formula)["runaways"])


class TestCourses:
    @pytest.mark.parametrize("name", ["cross_entropy", "mae", "sce", CROSS_ENTROPY])
    def test_good_losses_fall_everywhere(self, name):
        courses = sweep_of(name)["courses"]
        assert courses["the wrong way"] == []
        ((low, high),) = courses["as it should"]
        assert low < 0.01
        assert high > 0.98
        assert diagnosis_of(name)["samples"]["against"] == 0

    def test_one_that_turns_round_is_found_out(self):
        formula = "Mul(target, Square(Add(Add(prediction, prediction), Neg(1))))"
        courses = sweep_of(formula)["courses"]
        ((_, falls_to),), ((rises_from, _),) = courses["as it should"], courses["the wrong way"]
        assert 0.45 < falls_to < 0.5 < rises_from < 0.55
        assert 0.2 < diagnosis_of(formula)["samples"]["against"] < 0.8

    def test_one_without_a_slope_is_flat(self):
        courses = sweep_of("Mul(target, Square(target))")["courses"]
        assert courses["as it should"] == courses["the wrong way"] == []
        assert len(courses["flat"]) == 1

    def test_rounding_is_no_gradient(self):
        """The mean over the classes of a softmax is a constant."""
        found = diagnosis_of("Mean_c(Mul(prediction, 1))")
        assert found["samples"]["against"] is None
        assert found["scale"]["batch_gradient"] is found["scale"]["others"] is None
        assert sweep_of("Mean_c(Mul(prediction, 1))")["courses"]["the wrong way"] == []


class TestBesideCrossEntropy:
    def test_cross_entropy_is_itself(self):
        curves, samples = sweep_of("cross_entropy")["curves"], diagnosis_of("cross_entropy")["samples"]
        np.testing.assert_allclose(curves["by_logits"], curves["cross_entropy"], rtol=1e-4)
        np.testing.assert_allclose(curves["pull"], 1 - np.array(curves["x"]), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(samples["ratio"], 1, rtol=1e-3)
        np.testing.assert_allclose(samples["agreement"], 1, atol=1e-4)

    def test_mean_absolute_error_weighs_a_sample_by_its_probability(self):
        """The gradient of 2 (1 - p) is 2 p times that of -log p."""
        curves, samples = sweep_of("mae")["curves"], diagnosis_of("mae")["samples"]
        ratio = np.array(curves["by_logits"]) / np.array(curves["cross_entropy"])
        np.testing.assert_allclose(ratio, 2 * np.array(curves["x"]), rtol=1e-3)
        np.testing.assert_allclose(samples["ratio"], 2 * np.array(samples["right"]), rtol=1e-3, atol=1e-6)


class TestScale:
    @pytest.mark.parametrize("name", ["cross_entropy", "mae", CROSS_ENTROPY])
    def test_a_mean_over_samples_is_what_it_was(self, name):
        scale = diagnosis_of(name)["scale"]
        values = [scale[key] for key in ("batch_value", "batch_gradient", "classes_value", "classes_gradient")]
        assert values == pytest.approx([1, 1, 1, 1], rel=1e-3)
        assert scale["others"] < 1e-6

    def test_a_mean_over_the_batch_looks_across(self):
        scale = diagnosis_of("Mul(Neg(prediction), Mul(target, Mean_nhw(prediction)))")["scale"]
        assert scale["others"] > 0.05
        assert scale["batch_value"] == pytest.approx(1, rel=1e-3)  # copies change no mean

    def test_a_mean_over_classes_halves_as_they_double(self):
        scale = diagnosis_of("Neg(Mul(target, Mean_c(Mul(prediction, target))))")["scale"]
        assert scale["classes_value"] == pytest.approx(0.5, rel=1e-3)
        assert scale["classes_gradient"] == pytest.approx(0.5, rel=1e-3)


SQUARED = "Square(Add(prediction, Neg(target)))"
REGRESSION_SPACE = autoloss_zero(AutoLossZeroSettings(branches=("regression",)))


class Other:
    """What a diagnosis reads of a task, for tasks whose data would have to be made."""

    independent_classes = ()

    def __init__(self, branch, ranges, samples):
        self.offers, self.ranges, self.output_samples = {branch: ()}, {branch: ranges}, samples


class TestOtherInputs:
    def test_errors_of_real_numbers(self):
        task = Other("regression", {}, lambda: output_samples(1))
        contender = Contender("squared", FOUND, REGRESSION_SPACE, SQUARED)
        found = diagnose(contender, contender.default(0.1), task)
        (sweep,) = found["sweeps"]
        assert (sweep["kind"], sweep["runaways"], found["samples"]) == ("error", [], None)
        assert sweep["courses"]["the wrong way"] == []
        assert [low < 0 < high or low * high > 0 for low, high in sweep["courses"]["as it should"]] == [True, True]
        assert found["scale"]["batch_gradient"] == pytest.approx(1, rel=1e-3)

    def test_cosines_of_a_margin_loss(self):
        space = autoloss_gms()
        branch = space.branches[0].name
        contender = Contender("plain", FOUND, space, "t: x | n: x | log2_s: 4")
        task = Other(branch, {}, functools.partial(cosine_samples, branch))
        (sweep,) = diagnose(contender, contender.default(0.1), task)["sweeps"]
        assert (sweep["kind"], sweep["runaways"]) == ("cosine", [])
        assert sweep["courses"]["the wrong way"] == []

    def test_nothing_is_made_up_of_what_cannot_be_looked_at(self):
        task = Other("regression", {"prediction": (0.0, 5.0)}, lambda: output_samples(1))
        contender = Contender("squared", FOUND, REGRESSION_SPACE, SQUARED)
        found = diagnose(contender, contender.default(0.1), task)
        assert (found["sweeps"], found["without_axis"]) == ([], ["regression"])
        task.output_samples = None
        alone = diagnose(contender, contender.default(0.1), task)
        assert (alone["has_outputs"], alone["sweeps"], alone["samples"]) == (False, [], None)
        assert set(alone["scale"].values()) == {None}
        assert alone["poles"] == {"points": [], "note": ""}
