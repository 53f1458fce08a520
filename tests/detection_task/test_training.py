"""Trainings of the task: it learns, it does so on two devices as on one, and a division has other images."""

import jax
import numpy as np
import pytest

from jaxloss.execution.base import Trial
from jaxloss.spaces.families import branch_families
from jaxloss.tasks.base import SEARCH_EVAL, TEST
from jaxloss.tasks.check import check_task, on_division
from jaxloss.tasks.evaluation import Evaluation
from jaxloss.tasks.settings import TrainingSettings
from tests.execution.trainings import make as make_execution
from tests.execution.trainings import needs_devices, outcomes

SETTINGS = TrainingSettings(optimiser="adam", batch_size=4, num_epochs=100)
LOSS = branch_families("classification: sigmoid_focal | regression: giou", {"classification": 1.0, "regression": 1.0})
READS = {"classification": ("prediction", "target", "overlap"), "regression": ("intersection", "union", "enclosing")}


def trained(task, steps, mode="serial"):
    """Outcomes of the same training with several numbers of steps."""
    encoded = LOSS.tuned(None, LOSS.customary())
    trials = [Trial(LOSS, encoded, 0.02, 0, 0, SEARCH_EVAL, num_steps=one) for one in steps]
    return outcomes(make_execution(mode, task, SETTINGS), trials)


@pytest.fixture(scope="module")
def on_one_device(task):
    return trained(task, (2, None))


def test_it_is_what_a_task_has_to_be(task):
    assert check_task(task, batch_size=4, reads=READS, num_samples=2).keys() == {"classification", "regression"}


@pytest.mark.slow
def test_a_tiny_network_learns(task, on_one_device):
    untrained = Evaluation(task)(jax.jit(task.init)(jax.random.key(0)), task.data[SEARCH_EVAL], True)
    assert untrained["ap50"] < 0.1
    assert on_one_device[1].scores["ap50"] > 0.5
    assert on_one_device[1].score == on_one_device[1].scores["ap"] > 0.2


@pytest.mark.slow
@needs_devices
def test_two_devices_train_and_score_as_one(task, on_one_device):
    (outcome,) = trained(task, (2,), "data_parallel")
    assert outcome.scores["ap50"] == pytest.approx(on_one_device[0].scores["ap50"], abs=0.02)


def test_a_division_has_other_images_and_the_same_test(task):
    other = on_division(task, 1)
    assert not np.array_equal(task.data[SEARCH_EVAL]["image"], other.data[SEARCH_EVAL]["image"])
    np.testing.assert_array_equal(task.data[TEST]["image"], other.data[TEST]["image"])
    assert task.details["num_test_boxes"] == int((task.data[TEST]["valid"] & ~task.data[TEST]["crowd"]).sum())
