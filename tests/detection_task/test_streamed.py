"""One task on the device and streamed from files: the same training, bit for bit, also where it goes on in the middle."""

import chex
import jax
import numpy as np
import pytest

from jaxloss.core.problem import PREDICTIONS
from jaxloss.execution.base import Trial
from jaxloss.execution.serial import SerialExecution
from jaxloss.spaces.families import branch_families
from jaxloss.tasks.base import SEARCH_EVAL, TRAIN
from jaxloss.tasks.check import check_task, on_division
from jaxloss.tasks.data.stream import StreamedRows
from jaxloss.tasks.settings import TrainingSettings
from tests.detection_task.cells import make
from tests.detection_task.coco_folder import write_coco_folder
from tests.errors import user_error

OPTIONS = {
    "source": "coco:annotations/instances_train2017.json",
    "source_options": {
        "images": "train2017",
        "test": "annotations/instances_val2017.json",
        "test_images": "val2017",
        "empty": "drop",
    },
    "fractions": (0.7, 0.3, 0.0),
    "image_size": (36, 40),
    "fitting": "fit",
    "augmentation": "scale_crop_flip",
    "augmentation_options": {"crop_size": (32, 32), "scales": (0.8, 1.25)},
}
LOSS = branch_families("classification: sigmoid_focal | regression: giou", {"classification": 1.0, "regression": 1.0})
READS = {"classification": ("prediction", "target", "overlap"), "regression": ("intersection", "union", "enclosing")}


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    return write_coco_folder(tmp_path_factory.mktemp("coco"))


@pytest.fixture(scope="module")
def tasks(coco):
    return [make(coco, **OPTIONS, training_data=one) for one in ("device", "streamed")]


def test_only_the_training_images_are_elsewhere(tasks):
    device, streamed = tasks
    assert isinstance(streamed.data[TRAIN], StreamedRows)
    assert isinstance(streamed.data[SEARCH_EVAL]["image"], jax.Array)
    same = ("num_train", "num_train_boxes", "num_test_boxes", "training_size")
    assert [device.details[name] for name in same] == [streamed.details[name] for name in same]
    # What is padding is known: every third image is less high than the others.
    assert len(np.unique(device.data[TRAIN]["content"], axis=0)) > 1


@pytest.mark.slow
def test_it_is_what_a_task_has_to_be(tasks):
    check_task(tasks[1], batch_size=4, reads=READS, num_samples=2)


def test_the_rejection_problem_is_the_same(tasks):
    variables = jax.jit(tasks[0].init)(jax.random.key(0))
    found = [task.problems[PREDICTIONS](variables, task.data[TRAIN], jax.random.key(1), 2) for task in tasks]
    for branch in READS:
        chex.assert_trees_all_equal(*(one[branch].start for one in found))
        chex.assert_trees_all_equal(*(one[branch].context for one in found))


def test_a_box_without_an_area_is_one_line_unless_it_is_dropped(coco):
    options = {**OPTIONS, "source_options": {**OPTIONS["source_options"], "empty": "refuse"}}
    with user_error("instances_train2017.json, annotation", "has no area"):
        make(coco, **options)
    with user_error("unknown source option empty 'ignore'"):
        make(coco, **{**OPTIONS, "source_options": {**OPTIONS["source_options"], "empty": "ignore"}})


@pytest.mark.slow
def test_both_train_bit_for_bit_and_go_on_where_they_stopped(tasks):
    settings = TrainingSettings(optimiser="adam", batch_size=3, num_epochs=3)
    encoded = LOSS.tuned(None, LOSS.customary())
    executions = [SerialExecution(task, settings, 1, "steps") for task in tasks]

    def run(execution, start, num_steps=None, division=0):
        trial = Trial(LOSS, encoded, 0.02, start, division, SEARCH_EVAL, num_steps, keep_end=True)
        return next(outcome for outcome, _ in execution.run([trial]))

    device, streamed = executions
    for division in (0, 1):
        whole = [run(one, 0, division=division) for one in executions]
        assert whole[0].steps == 9
        assert whole[0].scores == pytest.approx(whole[1].scores, nan_ok=True, abs=0)
        chex.assert_trees_all_equal(whole[0].end, whole[1].end)
    expected = run(device, 0)
    for first, second in ((streamed, streamed), (device, streamed), (streamed, device)):
        # In the middle of the second epoch.
        begun = run(first, 0, num_steps=4)
        found = run(second, begun.end)
        chex.assert_trees_all_equal(found.end, expected.end)
    for one in executions:
        one.close()
    assert on_division(tasks[1], 1).details["division"] == 1
