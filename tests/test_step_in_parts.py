"""A step as three calls, the loss compiled for its candidate: the same training, and no compilation of the network for it."""

import jax
import numpy as np
import pytest

from jaxloss.spaces.families import family
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.tasks import step_in_parts
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training

TASK = make_fast(FastSettings(size=40))
SETTINGS = TrainingSettings(batch_size=10, num_epochs=3, warmup_epochs=1.0)
NUM_STEPS = 12
SPACE = autoloss_zero()
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"
OF_THE_BATCH = "Add(Neg(Mul(target, Sqrt(prediction))), Square(Mean_nhw(prediction)))"


@pytest.fixture(scope="module")
def trainings():
    return {dispatch: Training(TASK, SPACE, SETTINGS, dispatch) for dispatch in ("steps", "parts")}


def run(training, formula, start=0, num_steps=None, rate=0.3):
    encoded = SPACE.encode(SPACE.parse(formula)) if isinstance(formula, str) else formula
    return training.run(encoded, rate, start, TASK.data, SEARCH_EVAL, num_steps, keep_end=True)


def assert_same_end(found, expected, tolerance=0.0):
    assert (found.steps, found.finite) == (expected.steps, expected.finite)
    for leaf, wanted in zip(jax.tree.leaves(found.end), jax.tree.leaves(expected.end), strict=True):
        np.testing.assert_allclose(leaf, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("formula", [CROSS_ENTROPY, OF_THE_BATCH, "Neg(Mul(target, MaxPool3x3(prediction)))"])
def test_it_is_the_training_of_the_interpreter_up_to_rounding(trainings, formula):
    assert_same_end(run(trainings["parts"], formula), run(trainings["steps"], formula), 1e-4)


def test_the_network_is_compiled_once_for_all_candidates(trainings):
    for formula in (CROSS_ENTROPY, OF_THE_BATCH, "Neg(Mul(target, prediction))"):
        run(trainings["parts"], formula, num_steps=1)
    assert trainings["parts"].compilations == 1


def test_two_parts_of_a_training_are_bit_for_bit_an_undisturbed_one(trainings):
    whole = run(trainings["parts"], OF_THE_BATCH)
    first = run(trainings["parts"], OF_THE_BATCH, num_steps=5)
    before = jax.tree.map(np.copy, first.end)
    second = run(trainings["parts"], OF_THE_BATCH, first.end)
    assert_same_end(second, whole)
    assert second.scores == whole.scores
    jax.tree.map(np.testing.assert_array_equal, first.end, before)


def test_what_is_not_finite_stands_still(trainings):
    found = run(trainings["parts"], "Exp(Exp(Exp(Add(target, target))))")
    assert (found.score, found.finite, found.steps) == (None, False, 0)


def test_a_loss_with_numbers_as_arguments_stays_one_program():
    focal = family("focal")
    found = {}
    for dispatch in ("steps", "parts"):
        training = Training(TASK, focal, SETTINGS, dispatch)
        found[dispatch] = [run(training, focal.encode({"gamma": gamma})) for gamma in (1.0, 2.0)]
        assert training.compilations == 1
    for one, other in zip(*found.values(), strict=True):
        assert_same_end(one, other)


@pytest.mark.parametrize(("least", "asked"), [(0, True), (10**9, False)])
def test_it_is_chosen_where_the_inputs_of_a_loss_are_large(monkeypatch, least, asked):
    class Watched:
        name, loss = SPACE.name, staticmethod(SPACE.loss)
        used = False

        def specialised(self, encoded):
            function = SPACE.specialised(encoded)

            def loss(*arguments):
                self.used = True
                return function(*arguments)

            return loss

    monkeypatch.setattr(step_in_parts, "LEAST_ELEMENTS", least)
    watched = Watched()
    assert run(Training(TASK, watched, SETTINGS), CROSS_ENTROPY).steps == NUM_STEPS
    assert watched.used == asked
