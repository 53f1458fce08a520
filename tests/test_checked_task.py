"""What the check of a task gives, and how it looks at problems and divisions."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.core.problem import PREDICTIONS, RejectionProblem
from jaxloss.core.types import LossInputs
from jaxloss.execution.serial import SerialExecution
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.check import check_task, on_division
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.settings import TrainingSettings
from tests.changed_tasks import BATCH, BRANCH, TASK, with_data, with_problem


def test_a_task_without_mistakes_gives_the_shapes_of_its_inputs():
    inputs = check_task(TASK, BATCH, num_samples=0)
    assert {name: array.shape for name, array in inputs[BRANCH].arrays.items()} == dict.fromkeys(
        ("prediction", "target", "logits"), (10, 1, 1, 3)
    )
    # More than it has examples: a batch of all of them.
    assert check_task(TASK, 1000)[BRANCH].mask.shape == (40, 1, 1, 1)


def test_a_branch_without_scores_in_the_problem_may_offer_more():
    """The problem of the fast task makes no logits: losses that do not read them do not miss them."""
    check_task(TASK, BATCH, {BRANCH: ("prediction", "target")}, num_samples=5)
    with pytest.raises(UserError, match="lacks the array 'logits'"):
        check_task(TASK, BATCH, num_samples=5)


@pytest.mark.parametrize(
    ("with_division", "says"),
    [
        (lambda seed: None, "with_division(1) of the task fast must give a Task, not None"),
        (
            lambda seed: dataclasses.replace(TASK, metric="recall"),
            "with_division(1) of the task fast must give a task with the same metric, accuracy, not recall",
        ),
        (
            lambda seed: with_data(train={**TASK.data[TRAIN], "point": np.zeros((40, 3))}),
            "with_division(1) of the task fast must give the same arrays: float32[40, 2] as data['train']['point'] was expected, "
            "float64[40, 3] came",
        ),
        (
            lambda seed: with_data(train={"point": TASK.data[TRAIN]["point"]}),
            "int32[40] as data['train']['label'] was expected, nothing came",
        ),
    ],
)
def test_a_division_of_another_kind(with_division, says):
    with pytest.raises(UserError) as caught:
        on_division(dataclasses.replace(TASK, with_division=with_division), 1)
    assert says in str(caught.value)


def test_problem_shapes_are_those_of_one_sample_and_of_all():
    """Inputs that only work for one of the two are found."""

    def only_one(value, target):
        return LossInputs.create({"prediction": value.reshape(1, 1, 1, 3), "target": target})

    task = with_problem(inputs=lambda problem: only_one)
    assert isinstance(
        task.problems[PREDICTIONS](jax.jit(TASK.init)(jax.random.key(0)), TASK.data[TRAIN], None, 5)[BRANCH], RejectionProblem
    )
    with pytest.raises(
        UserError, match="inputs of the problem 'predictions' of the task fast, branch 'classification' raises TypeError"
    ):
        check_task(task, BATCH, {BRANCH: ("prediction", "target")}, num_samples=5)


def test_a_later_division_of_another_kind_is_named_when_it_is_used():
    """Only the first is looked at as a run starts: the others may take long to make."""
    task = dataclasses.replace(TASK, with_division=lambda number: TASK if number == 0 else None)
    execution = SerialExecution(task, TrainingSettings(batch_size=BATCH, num_epochs=1), 1)
    try:
        execution.data(0)
        with pytest.raises(UserError, match=r"with_division\(1\) of the task fast must give a Task, not None"):
            execution.data(1)
    finally:
        execution.close()


def test_a_division_has_the_functions_of_its_task():
    """A function that was replaced in a finished task is used, though `with_division` still makes the task without it."""

    def augment(batch, key):
        return batch

    task = dataclasses.replace(TASK, augment=augment)
    other = on_division(task, 1)
    assert other.augment is augment
    assert other.data[TRAIN] is not TASK.data[TRAIN]


@pytest.mark.parametrize(("num_rows", "steps", "batch_size"), [(40, 4, 10), (35, 3, 10), (5, 1, 5)])
def test_rows_of_an_order_that_fill_no_batch_are_left_out(num_rows, steps, batch_size):
    task = dataclasses.replace(TASK, order=lambda key, train: jnp.arange(num_rows))
    check_task(task, BATCH)
    preparation, train = Preparation(task, TrainingSettings(batch_size=BATCH)), task.data[TRAIN]
    assert (preparation.steps_per_epoch(train), preparation.batch_size(train)) == (steps, batch_size)
    expected = np.arange(steps * batch_size).reshape(steps, batch_size)
    np.testing.assert_array_equal(preparation.rows_of_steps(np.arange(num_rows)[None], train, 0, 99), expected)


def test_a_division_may_have_another_number_of_rows():
    smaller = make_fast(FastSettings(size=30))
    task = on_division(dataclasses.replace(TASK, with_division=lambda number: smaller), 1)
    assert {name: part["label"].shape for name, part in task.data.items()} == dict.fromkeys(smaller.data, (30,))


def with_images(augment):
    train = {**TASK.data[TRAIN], "image": jnp.zeros((len(TASK.data[TRAIN]["label"]), 8, 6, 3))}
    return dataclasses.replace(TASK, data={**TASK.data, TRAIN: train}, augment=augment)


def test_an_augmentation_may_crop_images():
    check_task(with_images(lambda batch, key: {**batch, "image": batch["image"][:, :4, :5]}), BATCH)
    with pytest.raises(UserError, match=r"float32\[10, 8, 6, 3\] as batch\['image'\] was expected, float32\[10, 8, 6, 1\] came"):
        check_task(with_images(lambda batch, key: {**batch, "image": batch["image"][..., :1]}), BATCH)
    with pytest.raises(UserError, match=r"float32\[10, 8, 6, 3\] as batch\['image'\] was expected, float32\[9, 8, 6, 3\] came"):
        check_task(with_images(lambda batch, key: {**batch, "image": batch["image"][1:]}), BATCH)
