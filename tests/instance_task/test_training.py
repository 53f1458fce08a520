"""Trainings of instance segmentation: it learns, its images need no object, and its networks have the parameters of the paper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.execution.base import Trial
from jaxloss.spaces.families import branch_families
from jaxloss.tasks.base import SEARCH_EVAL, TRAIN
from jaxloss.tasks.evaluation import Evaluation
from jaxloss.tasks.models.registry import INSTANCE_MODELS, make_two_stage_model
from jaxloss.tasks.settings import TrainingSettings
from tests.execution.trainings import make as make_execution
from tests.execution.trainings import outcomes
from tests.instance_task.shapes import WEIGHTS, loss_text, make, write

LOSS = branch_families(loss_text("cross_entropy", "giou", "cross_entropy"), WEIGHTS)


def test_the_mask_branch_has_the_parameters_of_the_paper():
    """Those of torchvision's `maskrcnn_resnet50_fpn` for 91 classes, but for the mask of background there."""
    network = make_two_stage_model("mask_rcnn_resnet50_fpn", 90, 3, models=INSTANCE_MODELS)
    shapes = jax.eval_shape(lambda key: network.init(key, jnp.zeros((1, 128, 128, 3))), jax.random.key(0))
    head = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]["mask_head"]))
    assert head == 4 * (9 * 256 * 256 + 256) + (4 * 256 * 256 + 256) + (256 + 1) * 90
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == 41_805_077 + head
    _, second, masks = jax.eval_shape(lambda v: network.apply(v, jnp.zeros((2, 128, 192, 3))), shapes)
    assert second.logits.shape == (2, 1, 91)
    assert masks.shape == (2, 1, 28, 28, 90)


@pytest.mark.slow
def test_all_losses_have_gradients_also_for_images_without_objects(task):
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
    assert all(np.any(leaf) for leaf in jax.tree.leaves(there["mask_head"]))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(nothing["mask_head"]))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_tiny_network_learns_masks(tmp_path):
    task = make(write(tmp_path, 28))
    untrained = Evaluation(task)(jax.jit(task.init)(jax.random.key(0)), task.data[SEARCH_EVAL], True)
    assert untrained["ap50"] < 0.1
    settings = TrainingSettings(optimiser="adam", batch_size=4, num_epochs=80.0)
    trial = Trial(LOSS, LOSS.tuned(None, LOSS.customary()), 0.01, 0, 0, SEARCH_EVAL)
    (outcome,) = outcomes(make_execution("serial", task, settings), [trial])
    assert outcome.scores["ap50"] > 0.5
    assert outcome.scores["ap"] > untrained["ap"] + 0.25
