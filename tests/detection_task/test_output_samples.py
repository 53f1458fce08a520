"""Made-up outputs tell losses of detection apart, and no more than that."""

import jax
import numpy as np
import pytest

import jaxloss
from jaxloss.spaces.output_gradients import OutputGradients, agreeing
from jaxloss.tasks.check_output_samples import check_output_samples

CLASSES, BOXES = "Neg(Mul(target, Log(prediction)))", "Neg(Log(Mul(intersection, Inv(union))))"
FORMULAS = [
    (CLASSES, BOXES),
    # One-hot targets, and the logarithm of a quotient.
    ("Neg(Mul(Square(target), Log(prediction)))", "Add(Log(union), Neg(Log(intersection)))"),
    ("Neg(Log(prediction))", BOXES),
    (CLASSES, "Neg(Mul(intersection, Inv(union)))"),
    (CLASSES, "Neg(Log(Mul(intersection, Inv(enclosing))))"),
    ("Neg(Mul(target, prediction))", BOXES),
]


@pytest.fixture(scope="module")
def gradients(task):
    areas = {"regression": ("intersection", "union", "enclosing")}
    space = jaxloss.make_space("autoloss_zero", branches=tuple(task.offers), branch_weights=(1.0, 1.0), branch_inputs=areas)
    texts = [f"classification: {one} | regression: {other}" for one, other in FORMULAS]
    return OutputGradients(space, task.output_samples())([space.parse(text) for text in texts])


def test_they_are_what_the_task_makes_of_outputs(task):
    check_output_samples(task)


def test_only_losses_that_are_one_agree(gradients):
    assert np.isfinite(gradients).all()
    assert agreeing(gradients[0], gradients).tolist() == [True, True, False, False, False, False]


def test_every_batch_has_something_to_learn_for_both_branches(task):
    samples = task.output_samples()
    inputs_of = jax.jit(samples.inputs)
    for batch in range(len(samples.outputs["logits"])):
        outputs, context = ({name: one[batch] for name, one in group.items()} for group in (samples.outputs, samples.context))
        inputs = inputs_of(outputs, context)
        assert inputs["regression"].mask.any()
        assert not inputs["classification"].mask.all()
        target = np.asarray(inputs["classification"].arrays["target"])
        assert target.any()
        assert (target.sum(axis=-1) == 0).any()
