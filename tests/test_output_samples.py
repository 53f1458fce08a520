"""Made-up outputs of a network, by which losses are told apart: what tasks offer, and mistakes in it, in one line."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss import make_space
from jaxloss.core.errors import UserError
from jaxloss.core.output_samples import OutputSamples
from jaxloss.spaces.output_gradients import OutputGradients
from jaxloss.study.equal_losses import EqualLosses
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.check import check_task
from jaxloss.tasks.class_logits import class_logits
from jaxloss.tasks.cosine_samples import cosine_samples
from tests.changed_tasks import BRANCH, TASK

SAMPLES = TASK.output_samples()


@pytest.mark.parametrize("num_classes", [2, 3, 10, 200])
def test_logits_are_the_same_at_every_call_and_of_every_kind(num_classes):
    logits, labels = class_logits(num_classes)
    again = class_logits(num_classes)
    assert np.array_equal(logits, again[0])
    assert np.array_equal(labels, again[1])
    assert logits.shape == (*labels.shape, num_classes)
    assert set(np.unique(labels)) <= set(range(num_classes))
    predictions = np.asarray(jax.nn.softmax(logits))
    own = np.take_along_axis(predictions, labels[..., None], axis=-1)[..., 0]
    untrained, _, sure, wrong, *mixed = own
    assert np.all(abs(untrained * num_classes - 1) < 0.5)
    assert sure.min() > 0.7
    # Surer still, float32 has no digits left for 1 - p.
    assert (1 - sure).min() > 1e-4
    assert wrong.max() < 0.3
    for batch in mixed:
        assert batch.max() > 0.7
        assert batch.min() < 0.3
    # Statistics of a batch are not the same in all of them.
    assert np.ptp(predictions.mean(axis=1), axis=0).max() > 0.2


def test_their_inputs_are_those_of_a_training():
    """The logits of a network, and the same logits as a sample, give a loss the same arrays."""
    variables, batch = jax.jit(TASK.init)(jax.random.key(0)), TASK.data[TRAIN]
    inputs, _ = TASK.forward(variables, batch, jax.random.key(1))
    logits = inputs[BRANCH].arrays["logits"][:, 0, 0]
    made = SAMPLES.inputs(logits, batch["label"])
    for array, other in zip(jax.tree.leaves(inputs), jax.tree.leaves(made), strict=True):
        np.testing.assert_array_equal(array, other)


def offering(**changes):
    return dataclasses.replace(TASK, output_samples=lambda: dataclasses.replace(SAMPLES, **changes))


def failing():
    raise ValueError("no samples")


MISTAKES = {
    "no function": (dataclasses.replace(TASK, output_samples=3), "output_samples of the task fast must be a function or None"),
    "it raises": (
        dataclasses.replace(TASK, output_samples=failing),
        "output_samples of the task fast raises ValueError: no samp",
    ),
    "no samples": (
        dataclasses.replace(TASK, output_samples=lambda: SAMPLES.outputs),
        "output_samples of the task fast must give OutputSamples, not float32[8, 16, 3]",
    ),
    "no outputs": (offering(outputs={}), "output_samples of the task fast has no outputs"),
    "whole numbers": (
        offering(outputs=SAMPLES.context),
        "output_samples of the task fast: float32[K, N, ...], K batches of N samples, was expected as the outputs, int32[8, 16] ",
    ),
    "outputs of two sizes": (
        offering(outputs={"a": jnp.ones((2, 5, 3)), "b": jnp.ones((2, 4, 3))}),
        "output_samples of the task fast: an array [2, 5, ...] was expected as the outputs['b'], float32[2, 4, 3] came",
    ),
    "context of other batches": (
        offering(context={"label": SAMPLES.context[:3]}),
        "output_samples of the task fast: an array [8, ...] was expected as the context['label'], int32[3, 16] came",
    ),
    "a branch is not made": (
        offering(inputs=lambda outputs, context: {"clasification": SAMPLES.inputs(outputs, context)[BRANCH]}),
        "inputs of output_samples of the task fast must give something for the branch 'classification'",
    ),
    "inputs raise": (
        offering(inputs=lambda outputs, context: SAMPLES.inputs(outputs @ jnp.ones(4), context)),
        "inputs of output_samples of the task fast raises TypeError: dot_general requires contracting dimensions",
    ),
    "an array is not made": (
        dataclasses.replace(
            TASK,
            output_samples=lambda: OutputSamples(
                *class_logits(3),
                lambda outputs, context: {
                    BRANCH: dataclasses.replace(
                        inputs := SAMPLES.inputs(outputs, context)[BRANCH], arrays={"target": inputs.arrays["target"]}
                    )
                },
            ),
        ),
        "inputs of output_samples of the task fast, branch 'classification' lacks the array 'prediction'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake):
    task, says = MISTAKES[mistake]
    with pytest.raises(UserError) as caught:
        check_task(task, batch_size=10)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_a_task_need_not_offer_any():
    assert BRANCH in check_task(dataclasses.replace(TASK, output_samples=None), batch_size=10)


class TestCosines:
    SAMPLES = cosine_samples("identity")

    def test_they_are_the_same_at_every_call_and_of_every_kind(self):
        cosines, labels = self.SAMPLES.outputs, self.SAMPLES.context["label"]
        assert np.array_equal(cosines, cosine_samples("identity").outputs)
        assert np.abs(cosines).max() < 1
        own = np.take_along_axis(cosines, labels[..., None], axis=-1)[..., 0]
        untrained, half_way, sure, wrong, *mixed = own
        assert np.abs(untrained).max() < 0.25
        assert half_way.mean() < sure.min()
        assert (wrong < cosines[3].max(axis=-1)).all()
        assert all(np.ptp(batch) > 0.5 for batch in mixed)

    def test_published_losses_are_told_apart(self):
        space = make_space("autoloss_gms")
        equal = EqualLosses(OutputGradients(space, self.SAMPLES))
        texts = list(space.known_losses.values())
        assert equal.firsts([*texts, texts[1]]) == [*range(len(texts)), 1]
