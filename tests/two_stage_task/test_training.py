"""Trainings of the task of two stages: it is a task, its images need no box, it learns, and devices agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.execution.base import Trial
from jaxloss.spaces.families import branch_families
from jaxloss.tasks.base import SEARCH_EVAL, TRAIN
from jaxloss.tasks.check import check_task
from jaxloss.tasks.evaluation import Evaluation
from jaxloss.tasks.models.registry import make_two_stage_model
from jaxloss.tasks.settings import TrainingSettings
from tests.execution.trainings import make as make_execution
from tests.execution.trainings import needs_devices, outcomes
from tests.two_stage_task.scenes import BRANCHES, READS, WEIGHTS, loss_text

SETTINGS = TrainingSettings(optimiser="adam", batch_size=4, num_epochs=120)
LOSS = branch_families(loss_text("cross_entropy", "giou"), WEIGHTS)


def trained(task, steps, mode="serial"):
    """Outcomes of the same training with several numbers of steps."""
    encoded = LOSS.tuned(None, LOSS.customary())
    trials = [Trial(LOSS, encoded, 0.01, 0, 0, SEARCH_EVAL, num_steps=one) for one in steps]
    return outcomes(make_execution(mode, task, SETTINGS), trials)


@pytest.fixture(scope="module")
def on_one_device(task):
    return trained(task, (2, None))


def test_it_is_what_a_task_has_to_be(task):
    assert {*check_task(task, batch_size=4, reads=READS, num_samples=2)} == {*BRANCHES}


@pytest.mark.slow
def test_all_losses_have_gradients_also_for_images_without_boxes(task):
    variables = jax.jit(task.init)(jax.random.key(0))
    batch = jax.tree.map(lambda leaf: leaf[:4], task.data[TRAIN])
    encoded = LOSS.tuned(None, LOSS.customary())

    @jax.jit
    def slopes(valid):
        def loss(params):
            return LOSS.loss(
                encoded, task.forward({**variables, "params": params}, {**batch, "valid": valid}, jax.random.key(1))[0]
            )

        return jax.grad(loss)(variables["params"])

    there, nothing = slopes(batch["valid"]), slopes(jnp.zeros_like(batch["valid"]))
    for one in (there, nothing):
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(one))
    assert all(np.any(leaf) for leaf in jax.tree.leaves(there["region_head"]))
    # Boxes of background are nobody's to learn.
    boxes_of_classes, boxes_of_anchors = (
        one["kernel"] for one in (nothing["region_head"]["Dense_3"], nothing["proposal_head"]["Dense_1"])
    )
    assert not np.any(boxes_of_classes)
    assert not np.any(boxes_of_anchors)
    assert np.any(nothing["region_head"]["Dense_2"]["kernel"])


def test_the_small_network_has_a_third_of_a_million_parameters():
    network = make_two_stage_model("tiny_faster_rcnn", 3, 3)
    shapes = jax.eval_shape(lambda key: network.init(key, jnp.zeros((1, 64, 64, 3))), jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == 342_114
    first, second = jax.eval_shape(lambda v: network.apply(v, jnp.zeros((2, 192, 256, 3))), shapes)
    assert first.logits.shape == (2, 3024, 2)
    assert first.deltas.shape == (2, 3024, 4)
    assert second.logits.shape == (2, 1, 4)
    assert second.deltas.shape == (2, 1, 3, 4)


@pytest.mark.slow
def test_a_tiny_network_learns(task, on_one_device):
    untrained = Evaluation(task)(jax.jit(task.init)(jax.random.key(0)), task.data[SEARCH_EVAL], True)
    assert untrained["ap50"] < 0.1
    assert on_one_device[1].scores["ap50"] > 0.5


@pytest.mark.slow
@needs_devices
def test_two_devices_train_and_score_as_one(task, on_one_device):
    (outcome,) = trained(task, (2,), "data_parallel")
    assert outcome.finite == on_one_device[0].finite
