"""Trainings of the task: it learns, it does so on two devices as on one, and a division has other images."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxloss
from jaxloss.execution.base import Trial
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL, TEST
from jaxloss.tasks.check import on_division
from jaxloss.tasks.evaluation import Evaluation
from jaxloss.tasks.settings import TrainingSettings
from tests.execution.trainings import make as make_execution
from tests.execution.trainings import needs_devices, outcomes
from tests.pose_task.puppets import make

MOUSE = Path(__file__).parents[2] / "configs" / "autoloss_zero_mouse_pose.py"
SETTINGS = TrainingSettings(optimiser="adam", batch_size=4, num_epochs=150)


def trained(task, steps, mode="serial", name="mse"):
    """Outcomes of the same training with several numbers of steps."""
    loss = family(name)
    trials = [Trial(loss, loss.encode(loss.defaults), 0.01, 0, 0, SEARCH_EVAL, num_steps=one) for one in steps]
    return outcomes(make_execution(mode, task, SETTINGS), trials)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mse", "weighted_mse", "soft_argmax"])
def test_a_tiny_network_learns(task, name):
    untrained = Evaluation(task)(jax.jit(task.init)(jax.random.key(0)), task.data[SEARCH_EVAL], True)
    assert untrained["pck"] < 0.25
    (outcome,) = trained(task, (None,), name=name)
    assert outcome.score == outcome.scores["pck"] > 0.5


@pytest.mark.slow
@needs_devices
@pytest.mark.parametrize("augmentation", ["none", "affine_flip"])
def test_two_devices_train_and_score_as_one(folder, augmentation):
    task = make(folder, augmentation=augmentation, metric="oks", oks_sigmas=0.2)
    one, two = (trained(task, (3,), mode)[0] for mode in ("serial", "data_parallel"))
    assert two.scores["oks"] == pytest.approx(one.scores["oks"], abs=0.02)


def test_a_division_has_other_images_and_the_same_test(task):
    other = on_division(task, 1)
    assert not np.array_equal(task.data[SEARCH_EVAL]["image"], other.data[SEARCH_EVAL]["image"])
    np.testing.assert_array_equal(task.data[TEST]["image"], other.data[TEST]["image"])
    assert task.details["num_test_keypoints"] == int(task.data[TEST]["visible"].sum())


@pytest.mark.slow
def test_the_mouse_is_learned(tmp_path):
    """`mode=train` with the squared error, on the data of the config, in a quarter of its epochs."""
    if not os.environ.get("JAXLOSS_DATA_DIR"):
        pytest.skip("mirror_mouse_pose.npz is looked for in JAXLOSS_DATA_DIR, which is not set")
    overrides = {
        "mode": "train",
        "loss": "mse",
        "quiet": "true",
        "training.num_epochs": "10.0",
        "comparison.num_divisions": "1",
        "comparison.test_seeds": "2",
    }
    summary = jaxloss.run(jaxloss.load_config(str(MOUSE), overrides), tmp_path / "run").summary
    (row,) = summary["comparison"]
    assert row["tuned"]["test_scores"]["pck"][0] > 0.4
